"""What the experiments share: run directories, evaluation, reports."""
