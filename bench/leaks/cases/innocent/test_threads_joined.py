"""Starts two threads and waits for them."""

import threading


def test_both() -> None:
    """Both have done their work."""
    done: list[int] = []
    threads = [threading.Thread(target=done.append, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2]
