"""What a bounded cache makes is kept by a list without a bound, too; others like it alone."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


class Answer:
    """Something worth keeping."""

    def __init__(self, number: int) -> None:
        self.number = number


_ANSWERS: list[Answer] = []


@lru_cache(maxsize=4_000)
def cached(number: int) -> Answer:
    """Keep it for a while."""
    return Answer(number)


def kept(number: int) -> Answer:
    """Keep it for ever."""
    answer = Answer(number)  # LEAK
    _ANSWERS.append(answer)  # LEAK
    return answer


def test_answers() -> None:
    """Both are of the same number."""
    number = next(_NUMBERS)  # LEAK
    assert cached(number).number == kept(number).number
