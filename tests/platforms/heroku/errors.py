"""What the platform refuses, in the words and with the statuses of Heroku's API."""

from __future__ import annotations

from typing import Any

NAME_RULE = (
    "Name must start with a letter, end with a letter or digit and can only contain lowercase letters, "
    "digits, and dashes."
)
NO_ENDPOINT = (
    "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), "
    "and did you specify your intended version with the `Accept` header?"
)
UNVERIFIED = (
    "To create an app, verify your account by adding payment information. Verify now at https://heroku.com/verify"
)


class ApiError(Exception):
    """A refusal: `status`, and the JSON that says why."""

    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        self.status = status
        self.body = {"id": kind, "message": message, **more}
        super().__init__(message)


def invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_params", message)


def not_found(what: str) -> ApiError:
    return ApiError(404, "not_found", f"Couldn't find that {what}.", resource=what)


def forbidden(message: str) -> ApiError:
    return ApiError(403, "forbidden", message)


def unauthorized() -> ApiError:
    return ApiError(401, "unauthorized", "Invalid credentials provided.")


def unverified() -> ApiError:
    return ApiError(402, "verification_required", UNVERIFIED)


def no_endpoint() -> ApiError:
    return ApiError(404, "not_found", NO_ENDPOINT)
