"""Makes and drops many objects of those types that the interpreter keeps for later."""


def test_small_objects() -> None:
    """Every size is as long as it should be."""
    tuples = [tuple(range(size)) for size in range(20) for _ in range(50)]
    floats = [number / 7 for number in range(200)]
    tables = [{number: [number]} for number in range(100)]
    assert (len(tuples), len(floats), len(tables)) == (1_000, 200, 100)
