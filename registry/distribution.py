"""What installers call Slipway: `slipway` is another project there, and with us the command and the import alone."""

DISTRIBUTION = "slipway-ml"


def install_with(extra: str) -> str:
    """Return the command that installs Slipway with what an extra needs.

    >>> install_with("auth")
    "pip install 'slipway-ml[auth]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
