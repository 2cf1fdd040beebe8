"""The emulator as an account of Microsoft's clients. The arguments of a script are `URL key|token [CA]`."""

import sys

from azure.core.credentials import AccessToken

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Token:
    """A credential that has one token."""

    def get_token(self, *scopes, **_):
        assert scopes == ("https://storage.azure.com/.default",), scopes
        return AccessToken("token-of-the-tests", 4102444800)


def service(client, **options):
    """Returns a client of this class for the account."""
    url, kind, *ca = sys.argv[1:]
    if kind == "key":
        credential = {"account_name": "devstoreaccount1", "account_key": KEY}
        return client(f"{url}/devstoreaccount1", credential, **options)
    return client(url, Token(), connection_verify=ca[0], **options)


def refused(kind, call, *codes):
    """Checks that a call is refused, and how."""
    try:
        call()
    except kind as error:
        assert error.error_code in codes, f"{error.error_code} instead of {codes}"
        return
    raise SystemExit(f"not refused: {codes} was expected")
