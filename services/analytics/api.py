"""HTTP of the analytics service: the creator's numbers as JSON, CSV and a page (DOMAIN A1, A5)."""

import secrets
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analytics import queries
from analytics.projections import CampaignRow
from analytics.report import Report, Section, as_csv, report
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Principal, Role, public, require

PAGE_FOLDER = Path(__file__).parent / "page"
# The numbers change all the time and are for one person only.
NOT_KEPT = {"Cache-Control": "no-store"}

Viewer = Annotated[Principal, require(Role.CREATOR, Role.OPERATOR)]


class NoSuchCampaign(Refusal):
    """404, also for a campaign of somebody else (DOMAIN H2)."""

    code = "campaign-not-found"
    title = "There is no such campaign"
    status = 404


def router(runtime: Runtime) -> APIRouter:
    """The routes of the service."""
    routes = APIRouter(tags=["analytics"], responses={404: {"description": "No such campaign, or not yours"}})

    async def mine(campaign_id: UUID, viewer: Principal) -> CampaignRow:
        campaign = await queries.campaign(runtime.pool, campaign_id)
        if campaign is None or campaign.creator_id is None or not _may_see(viewer, campaign):
            raise NoSuchCampaign("Nothing is known of this campaign, or it is not yours.")
        return campaign

    @routes.get("/campaigns/{campaign_id}/analytics")
    async def numbers(campaign_id: UUID, viewer: Viewer) -> Report:
        """Totals, tiers with slots left, countries, days, funnel and milestones; for the creator and operators."""
        return await report(runtime.pool, await mine(campaign_id, viewer))

    @routes.get(
        "/campaigns/{campaign_id}/analytics/{section}.csv",
        response_class=PlainTextResponse,
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def section_as_csv(campaign_id: UUID, section: Section, viewer: Viewer) -> PlainTextResponse:
        """One section for a spreadsheet: comma-separated with a header line, amounts in minor units."""
        text = as_csv(await report(runtime.pool, await mine(campaign_id, viewer)), section)
        name = f'attachment; filename="{section}-{campaign_id}.csv"'
        return PlainTextResponse(text, media_type="text/csv", headers=NOT_KEPT | {"Content-Disposition": name})

    _add_page(routes)
    return routes


def _add_page(routes: APIRouter) -> None:
    templates = Environment(
        loader=FileSystemLoader(PAGE_FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )

    @routes.get("/campaigns/{campaign_id}/dashboard", dependencies=[public()], response_class=HTMLResponse)
    async def dashboard(campaign_id: UUID) -> HTMLResponse:
        """The dashboard's page. It has no numbers of its own: its script fetches the JSON with the viewer's token.

        The token comes in the address after `#token=`, which browsers do not send to servers, or is pasted in.
        """
        nonce = secrets.token_urlsafe(16)
        page = templates.get_template("dashboard.html.j2").render(campaign_id=campaign_id, nonce=nonce)
        return HTMLResponse(page, headers=_page_headers(nonce))


def _page_headers(nonce: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return NOT_KEPT | {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _may_see(viewer: Principal, campaign: CampaignRow) -> bool:
    return Role.OPERATOR in viewer.roles or viewer.person_id == campaign.creator_id
