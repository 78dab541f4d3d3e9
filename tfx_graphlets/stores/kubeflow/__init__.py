"""The history that Kubeflow Pipelines' own API server keeps."""
