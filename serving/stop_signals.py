"""Which signals ask a server of ours to stop."""

import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return them, for a process that has changed none yet: a closed terminal stops no server under `nohup`."""
    asking = (signal.SIGINT, signal.SIGTERM)
    return asking if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asking, signal.SIGHUP)
