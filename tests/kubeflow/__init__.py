"""Compiled Kubeflow pipelines, run without a cluster."""
