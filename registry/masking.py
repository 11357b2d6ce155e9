"""What nobody is shown: the passwords in URLs, wherever in a text they are."""

import re

# In a database's URL a password may hold anything up to the last `@`; elsewhere a path may hold an `@`.
# `user:password@host` says how such a URL is written.
IN_DATABASE = re.compile(
    r"((?:postgres|mysql|mariadb|mssql|oracle)[a-z0-9+_]*://[^:/@\s]*):(?!password@host\b)\S*@", re.IGNORECASE
)
IN_URL = re.compile(r"(://[^:/@\s]*):(?!password@host\b)[^\s/@]+@")
AFTERWARDS = re.compile(r"([?&;](?:password|pwd|secret)=)[^&;\s'\"]*", re.IGNORECASE)


def masked(text: str) -> str:
    """Return a text with its URLs, without their passwords.

    >>> masked("at postgresql://ann:s3/cr@et@db/mlflow, and"), masked("postgresql://db/m?user=ann&password=secret")
    ('at postgresql://ann:***@db/mlflow, and', 'postgresql://db/m?user=ann&password=***')
    >>> masked("http://ann:secret@host/a@b"), masked("http://host:5000/churn@production"), masked("sqlite:///m.db")
    ('http://ann:***@host/a@b', 'http://host:5000/churn@production', 'sqlite:///m.db')
    """
    for secret in (IN_DATABASE, IN_URL):
        text = secret.sub(r"\1:***@", text)
    return AFTERWARDS.sub(r"\1***", text)
