"""Fixtures that several contract tests share."""

from tests.contract.stripe_sandbox_server import inbox, sandbox, sandbox_address

__all__ = ["inbox", "sandbox", "sandbox_address"]
