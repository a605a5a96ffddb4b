"""Settings from the environment, prefix `STRIPE_SANDBOX_`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="STRIPE_SANDBOX_")

    api_key: str = Field(default="sk_test_sandbox", pattern=r"^(sk|rk)_test_", description="The only key let in")
    webhook_url: str = Field(default="", description="Where events go; empty: to endpoints made by the API only")
    webhook_secret: str = Field(default="whsec_sandbox", description="Signs what goes to webhook_url")
    webhook_events: str = Field(default="*", description="Comma separated event types for webhook_url")
    webhook_concurrency: int = Field(default=16, ge=1, le=256, description="Deliveries under way at once")
    webhook_retry_seconds: float = Field(default=0.5, gt=0, description="First pause after a failed delivery")
    rate_limit: int = Field(default=0, ge=0, description="Requests a second, all together, before a 429; 0: no limit")
    endpoint_rate_limit: int = Field(default=0, ge=0, description="The same for each endpoint alone")
    public_url: str = Field(default="http://127.0.0.1:12111", description="Where a browser reaches the sandbox")
    fee_basis_points: int = Field(default=150, ge=0, le=10_000, description="The fee's share of a capture")
    fee_fixed_minor: int = Field(default=25, ge=0, description="The fee's fixed part, in minor units")
    dispute_fee_minor: int = Field(default=1_500, ge=0, description="The fee of a dispute, in minor units")
