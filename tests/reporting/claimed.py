"""What a verdict claims."""

import re


def claims(verdict):
    """The effects that its judgements name, findings or not, or `no measurable difference`."""
    judged = (each.claim for each in verdict.judgements if each.value.judged)
    effects = (re.search(r"\*\*(.+?)\*\*|(no measurable difference)", claim) for claim in judged)
    return [effect[1] or effect[2] for effect in effects if effect]
