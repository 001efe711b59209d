"""Makes a block of shared memory and lets it go."""

from multiprocessing.shared_memory import SharedMemory


def test_publish() -> None:
    """What was put is there."""
    block = SharedMemory(create=True, size=100)
    block.buf[:4] = b"news"
    assert bytes(block.buf[:4]) == b"news"
    block.close()
    block.unlink()
