"""The torch networks beside Keras models with the same weights: ``python -m benchmarks.parity`` prints the differences.

The table shows the largest difference over all tensors of a kind (see ``benchmarks/side_by_side.py``); the tests in
``tests/parity`` hold it to 1e-4. Needs TensorFlow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import keras
from tabulate import tabulate

from benchmarks.pairs import (
    a_datsc,
    convlstm,
    dec_clustering,
    dec_pretraining,
    dsc,
    dtc,
    dtcr,
    gru,
    lstm,
    similarity,
)
from benchmarks.side_by_side import STEPS, Difference, Pair, compare
from methods.blocks.keras.runtime import start
from methods.blocks.similarity import SIMILARITIES

CNN = {"filters": [6, 6, "P", "D", 8, "P"], "pooling": "valid", "recurrent": False}
CNN_ODD = {"filters": [16, 16, "P", "D", 24, 24, "P", "D", 32, "P"], "pooling": "valid", "recurrent": False}
DSC_ODD = {"filters": [16, 16, "P", 24, "P", 32, "P", 48, "P"], "units": [64, 64], "code": 32}

# name -> {size: makes a pair}
SUBJECTS: dict[str, dict[str, Callable[[], Pair]]] = {
    "DEC, pre-training": {
        "small": partial(dec_pretraining, 6, 20, [8, 5]),
        "11767-500-500-2000-150": partial(dec_pretraining, 13, 11767, [500, 500, 2000, 150]),
    },
    "DEC, clustering": {
        "small": partial(dec_clustering, 6, 20, [8, 5]),
        "11767-500-500-2000-10": partial(dec_clustering, 13, 11767, [500, 500, 2000, 10]),
    },
    "DTC": {
        "small": partial(dtc, 3, 12, 1, 4, 5, 4, [4, 1]),
        "584 steps, 7 channels": partial(dtc, 5, 584, 7, 8, 50, 10, [50, 1]),
    },
    **{
        f"DTC, {name}": {
            "small": partial(similarity, name, 5, 9, 1),
            "41 steps, 3 channels": partial(similarity, name, 13, 41, 3),
        }
        for name in SIMILARITIES
    },
    "DTCR": {
        "small": partial(dtcr, 8, 9, 1, [4, 3, 2], [1, 2, 4]),
        "51 steps": partial(dtcr, 13, 51, 7, [50, 30, 30], [1, 4, 16]),
    },
    "DSC": {
        "small": partial(dsc, 4, (8, 8, 3), 1),
        "41 x 41, 5 days": partial(dsc, 7, (41, 41, 7), 5, **DSC_ODD, decoder=[48, 32, 24, 16]),
    },
    "DSC, CNN encoder": {
        "small": partial(dsc, 4, (9, 11, 3), 1, **CNN, decoder=[]),
        "41 x 41": partial(dsc, 7, (41, 41, 7), 1, **CNN_ODD, decoder=[]),
    },
    "DSC, CNN auto-encoder": {
        "small": partial(dsc, 4, (9, 11, 3), 1, **CNN, dense_output=True),
        "17 x 23": partial(dsc, 7, (17, 23, 5), 1, **CNN_ODD, decoder=[32, 24, 16], dense_output=True),
    },
    "DSC, CNN-LSTM encoder": {
        "small": partial(dsc, 4, (9, 11, 3), 1, decoder=[]),
        "41 x 41": partial(dsc, 7, (41, 41, 7), 1, **DSC_ODD, decoder=[]),
    },
    "A-DATSC": {
        "small": partial(a_datsc, 2, 5, 16, filters=[4, 6, 8, 8]),
        "41 x 41": partial(a_datsc, 1, 7, 48, filters=[16, 24, 32, 48], patch=[2, 2], n_heads=4, latent=32),
    },
    "LSTM": {"small": partial(lstm, 3, 5, 4, 6), "73 steps": partial(lstm, 5, 73, 37, 51)},
    "GRU": {"small": partial(gru, 3, 5, 4, 6), "73 steps": partial(gru, 5, 73, 37, 51)},
    "ConvLSTM": {
        "small": partial(convlstm, (2, 4, 5, 6, 3), 4, backwards=False),
        "backwards": partial(convlstm, (2, 4, 5, 6, 3), 4, backwards=True),
        "last state": partial(convlstm, (2, 4, 5, 6, 3), 4, backwards=False, sequences=False),
        "41 x 41, 11 frames": partial(convlstm, (1, 11, 41, 41, 7), 16, backwards=False),
        "17 x 18, 32 states": partial(convlstm, (1, 5, 17, 18, 9), 32, backwards=False),
    },
}


def difference(make: Callable[[], Pair]) -> Difference:
    """Return the difference of a pair, made with initial weights that are the same in every run."""
    keras.utils.set_random_seed(0)
    return compare(make())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("subjects", nargs="*", help=f"some of: {'; '.join(SUBJECTS)} (default: all)")
    start()
    rows = []
    for name in parser.parse_args().subjects or SUBJECTS:
        for size, make in SUBJECTS[name].items():
            found = difference(make)
            rows.append([name, size, found.output, found.loss, found.gradient, found.weights, found.moved])
    header = ["subject", "size", "output", "loss", "gradient", f"weights after {STEPS} steps", "they moved by"]
    print(tabulate(rows, header, tablefmt="github", floatfmt=".1e"))


if __name__ == "__main__":
    main()
