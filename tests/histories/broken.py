"""A plugin that breaks ours: it hides the slack before a test."""

from __future__ import annotations

from dataclasses import replace

from pytest_memguard.probes import slack

_read = slack.SlackProbe.read


def _read_nothing(self: slack.SlackProbe) -> slack.Slack:
    return replace(_read(self), blocks=(), pools=0, malloc=0, anywhere=0)


slack.SlackProbe.read = _read_nothing  # type: ignore[method-assign]
