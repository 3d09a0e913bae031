"""A small run of each kind, shared by the tests of scores and of predictions."""

import pytest
from shortcuts import undrawn, untraced
from small_data import draw, shops, waves
from small_data import fit as traced

WORDS = {"food": "soup bread salt", "law": "court judge trial", "sport": "goal match team"}


def fit(*arguments, **options):
    with untraced():
        return traced(*arguments, **options)


@pytest.fixture(autouse=True, scope="module")
def _without_curves():
    with undrawn():
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def iris_run(home):
    return fit("iris_fnn", "iris", home / "iris", units=(8,), epochs=4)


@pytest.fixture(scope="session")
def diabetes_run(home):
    return fit("diabetes_fnn", "diabetes", home / "diabetes", units=(8,))


@pytest.fixture(scope="session")
def table_run(home):
    shops(120).to_csv(home / "shops.csv", index=False)
    return fit(
        "tabular_fnn", home / "shops.csv", home / "table", target="open", units=(8,), epochs=6
    )


@pytest.fixture(scope="session")
def image_run(home):
    folder = draw(home / "photos", {"dark": 40, "light": 210}, 20)
    settings = dict(
        input_shape=(12, 12, 3), filters=(4,), depth=1, units=(), batch_size=8, epochs=3
    )
    return fit("image_cnn", folder, home / "image", **settings)


@pytest.fixture(scope="session")
def text_run(home):
    (home / "texts").mkdir()
    for name, words in WORDS.items():
        (home / "texts" / f"{name}.txt").write_text(
            "".join(f"the {words} of day {i}\n" for i in range(30))
        )
    settings = dict(
        input_shape=(8,),
        embedding_dim=8,
        filters=(8,),
        kernel_size=(2,),
        learning_rate=0.02,
        epochs=5,
    )
    return fit("text_cnn", home / "texts", home / "text", **settings)


@pytest.fixture(scope="session")
def series_run(home):
    waves(200).to_csv(home / "waves.csv", index=False)
    return fit(
        "series_gru", home / "waves.csv", home / "series", input_shape=(8, 1), horizon=3, units=(4,)
    )


@pytest.fixture(scope="session")
def language_run(home):
    (home / "book.txt").write_text("to be or not to be that is the question\n" * 40)
    settings = dict(input_shape=(10,), units=(8,), embedding_dim=4, batch_size=64)
    return fit("char_gru", home / "book.txt", home / "language", **settings)
