"""A continuous-training TFX pipeline on the flights that left New York in 2013."""
