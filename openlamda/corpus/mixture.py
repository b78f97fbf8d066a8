"""How often each source is read: from the tokens that it has and the mixture that is wanted. Pure arithmetic."""

from collections.abc import Mapping

from openlamda.corpus.recipe import Mixture
from openlamda.errors import UserError


def weights(mixture: Mixture, available: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, float]:
    """Source -> share of the tokens, summing to 1; `available` are tokens, `shares` those of the method "shares".

    T5, section 3.5.2: proportional is r ~ min(tokens, cap), temperature r^(1/T), equal the same for all; there the
    cap counts examples, here tokens. Raises UserError for a source that has a share and no tokens.
    """
    if mixture.method == "shares":
        for name, share in shares.items():
            if share and not available[name]:
                raise UserError(f"source {name!r}: no tokens are left, expected some for its share of {share:.2%}")
        return dict(shares)
    rates = {name: float(min(tokens, mixture.cap or tokens)) for name, tokens in available.items()}
    if mixture.method == "temperature":
        rates = {name: rate ** (1 / mixture.temperature) if rate else 0.0 for name, rate in rates.items()}
    elif mixture.method == "equal":
        rates = {name: float(rate > 0) for name, rate in rates.items()}
    total = sum(rates.values())
    if not total:
        raise UserError("no tokens are left of any source; the drops and problems say why")
    return {name: rate / total for name, rate in rates.items()}


def epochs(mixture: Mixture, available: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, float]:
    """Source -> how often it is read, 1.5 being all of it once and half of it twice.

    The total is the largest within `mixture.tokens` in which no source is read more often than `mixture.epochs`.
    """
    wanted = weights(mixture, available, shares)
    total = float(mixture.tokens or "inf")
    if mixture.epochs:
        total = min(total, *(mixture.epochs * available[name] / share for name, share in wanted.items() if share))
    return {name: share * total / available[name] if share else 0.0 for name, share in wanted.items()}
