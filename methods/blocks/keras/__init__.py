"""TensorFlow/Keras building blocks of the twins: a second implementation, which shares no code with the torch one."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # a user's configuration file may name another one
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings of absent GPUs fill the logs
