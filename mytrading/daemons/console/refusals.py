"""Refusals of the console, as exceptions that become the JSON body `ApiError`."""

from __future__ import annotations

from litestar.exceptions import HTTPException

STATUS = {
    "BAD_REQUEST": 400,
    "WEAK_PASSWORD": 400,
    "LOGIN_NEEDED": 401,
    "WRONG_LOGIN": 401,
    "TOTP_NEEDED": 401,
    "CSRF": 403,
    "ORIGIN": 403,
    "ROLE": 403,
    "CONFIRM_NEEDED": 403,
    "NOT_FOUND": 404,
    "MOVED": 409,
    "REFUSED": 409,
    "TOO_MANY": 429,
    "STACK_SILENT": 503,
    "NO_BUNDLE": 503,
    "STACK_TIMEOUT": 504,
}
"""The HTTP status of each code."""


class ApiRefused(HTTPException):
    """An answer other than 2xx: its code, what was expected and what to do, and the field that is wrong."""

    def __init__(self, code: str, error: str, field: str = "", retry_after_s: int = 0) -> None:
        super().__init__(detail=error, status_code=STATUS[code])
        self.code = code
        self.error = error
        self.field = field
        self.retry_after_s = retry_after_s
