"""Imports what it needs in the first call."""


def test_convert() -> None:
    """White has no saturation."""
    import colorsys
    import wave

    assert colorsys.rgb_to_hsv(1, 1, 1)[1] == 0
    assert wave.WAVE_FORMAT_PCM == 1
