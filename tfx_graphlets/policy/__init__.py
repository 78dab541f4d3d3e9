"""Policy: from the probability of a push to RUN or SKIP; knows neither traces nor features."""
