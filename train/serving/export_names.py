"""What the files of an exported folder are called, besides the weights."""

from train.weights_file import OWN_HEAD

CONFIG_FILE = "config.json"
PREPROCESSING_FILE = "preprocessing.json"
CALIBRATION_FILE = "calibration.json"
PROVENANCE_FILE = "provenance.json"
README_FILE = "README.md"
HEAD_FILE = "score_head.safetensors"
HEAD_PREFIX = OWN_HEAD
"""Of the head's tensors among a student's weights; in their own file they go without."""
