"""Mails as they are sent: texts, formats, headers, and nothing that a name or a title could break (DOMAIN N3)."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.campaign import FundingModel
from contracts.ids import new_id
from contracts.money import Money
from contracts.payment import PayoutKind
from contracts.settlement import Outcome
from notifier import wording
from notifier.domain import Facts, Kind
from notifier.letters import IncompleteError, Letters
from notifier.queries import Addressee, Due, Reward

LETTERS = Letters("Groundswell <mail@groundswell.example>", "https://groundswell.example")
ADA = Addressee("ada@example.org", "Ada", "en-GB")
EUR = Money(amount=123456, currency="EUR")
SAID: Final = {
    Kind.MILESTONE: Facts(percent=50, total=EUR, backers=2),
    Kind.CREATOR_UPDATE: Facts(title="The moulds are here", text="We cast on Monday.\n\n- red\n- blue"),
    Kind.CREATOR_SETTLED: Facts(outcome=Outcome.FUNDED, total=EUR, backers=2),
    Kind.SLOT_OFFERED: Facts(until=datetime(2027, 3, 2, 12, tzinfo=UTC)),
    Kind.CREATOR_PAYOUT: Facts(payout=EUR, total=EUR, platform_fee=EUR, provider_fee=EUR),
    Kind.PLEDGE_REFUNDED: Facts(refunded=EUR),
    Kind.DISPUTE_OPENED: Facts(disputed=EUR, reason="fraudulent"),
    Kind.DISPUTE_CLOSED: Facts(disputed=EUR, won=True),
}
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Groundswell-Notice", "X-Groundswell-Campaign",
    "MIME-Version", "Content-Type",
}  # fmt: skip


def due(kind: Kind = Kind.PLEDGE_CONFIRMED, facts: Facts | None = None) -> Due:
    return Due(
        key=(kind.value, new_id(), new_id()),
        kind=kind,
        campaign_id=new_id(),
        pledge_id=new_id(),
        facts=facts or SAID.get(kind, Facts()),
        created_at=datetime(2027, 3, 1, 12, tzinfo=UTC),
        attempts=0,
        to=ADA,
        title="A board game",
        model=FundingModel.ALL_OR_NOTHING,
        deadline=datetime(2027, 4, 1, 18, tzinfo=UTC),
        amount=EUR,
        reward=Reward("The box", "2027-09"),
        reward_missing=False,
    )


def read(one: Due, to: Addressee = ADA) -> EmailMessage:
    message = message_from_bytes(LETTERS.write(one, to).content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


class TestTexts:
    @pytest.mark.parametrize("kind", Kind)
    def test_every_kind_has_a_subject_and_says_the_same_in_plain_text_and_html(self, kind: Kind) -> None:
        message = read(due(kind))
        plain, html = text(message), text(message, "html")
        assert "A board game" in message["Subject"]
        assert "Hello Ada," in plain
        for paragraph in (line for line in plain.split("\n\n")[1:-2] if line):
            assert f"<p>{paragraph.strip()}</p>" in html

    def test_a_hold_and_a_charge_are_told_apart(self) -> None:
        held = text(read(due()))
        charged = text(read(replace(due(), model=FundingModel.KEEP_IT_ALL)))
        assert ("nothing is charged yet" in held, "was charged" in held) == (True, False)
        assert ("nothing is charged yet" in charged, "Your card was charged €1,234.56" in charged) == (False, True)

    def test_the_funded_names_reward_and_month_and_the_failed_says_that_nothing_was_charged(self) -> None:
        assert "The box. Estimated delivery: September 2027." in text(read(due(Kind.CAMPAIGN_FUNDED)))
        assert "You chose no reward" in text(read(replace(due(Kind.CAMPAIGN_FUNDED), reward=None)))
        failed = text(read(due(Kind.CAMPAIGN_FAILED)))
        assert "is released, and nothing was charged" in failed

    @pytest.mark.parametrize(
        ("facts", "expected"),
        [
            (Facts(percent=25, total=EUR, backers=1), "reached 25 % of the goal. At that moment 1 backer had"),
            (Facts(percent=100, total=EUR, backers=3), "reached the goal. At that moment 3 backers had"),
            (Facts(stretch_goal="Wood", total=EUR, backers=3), "the stretch goal “Wood”."),
        ],
    )
    def test_a_milestone_says_which(self, facts: Facts, expected: str) -> None:
        assert expected in " ".join(text(read(due(Kind.MILESTONE, facts))).split())

    def test_an_update_has_the_creators_title_and_text_line_by_line_and_leads_to_the_campaign(self) -> None:
        one = due(Kind.CREATOR_UPDATE)
        message = read(one)
        assert message["Subject"] == "News of “A board game”: The moulds are here"
        assert "\n\nThe moulds are here\n\nWe cast on Monday.\n\n- red\n\n- blue\n\n" in text(message)
        assert f"https://groundswell.example/campaigns/{one.campaign_id}" in text(message)

    def test_an_offer_says_until_when_it_is_kept(self) -> None:
        assert "kept for you until 2 March 2027" in " ".join(text(read(due(Kind.SLOT_OFFERED))).split())

    @pytest.mark.parametrize("outcome", Outcome)
    def test_a_creator_is_told_each_outcome(self, outcome: Outcome) -> None:
        facts = Facts(outcome=outcome, total=EUR, backers=2)
        body = text(read(due(Kind.CREATOR_SETTLED, facts)))
        assert ("nobody was charged" in body) == (outcome is Outcome.FAILED)

    @pytest.mark.parametrize("reason", ["lease_expired", "insufficient_funds"])
    def test_a_declined_pledge_says_why_and_that_nothing_was_charged(self, reason: str) -> None:
        body = text(read(due(Kind.PLEDGE_DECLINED, Facts(reason=reason))))
        assert ("not completed in time" in body) == (reason == "lease_expired")
        assert "You were not charged" in body

    @pytest.mark.parametrize("kind", [Kind.ACTION_REQUIRED, Kind.PLEDGE_AT_RISK])
    def test_who_has_something_to_do_is_led_to_the_pledge(self, kind: Kind) -> None:
        one = due(kind)
        assert f"https://groundswell.example/pledges/{one.pledge_id}\n" in text(read(one))

    @pytest.mark.parametrize(("lost", "expected"), [(True, "is gone"), (False, "did not accept that the hold")])
    def test_who_is_at_risk_is_told_what_happened_and_until_when_another_card_helps(
        self, lost: bool, expected: str
    ) -> None:
        body = " ".join(text(read(due(Kind.PLEDGE_AT_RISK, Facts(reason="do_not_honor", lost=lost)))).split())
        assert expected in body
        assert "with another card, until 1 April 2027" in body
        assert "do_not_honor" not in body

    def test_whose_card_is_not_tried_again_is_told_so(self) -> None:
        tried, refused = (
            " ".join(text(read(due(Kind.PLEDGE_AT_RISK, Facts(reason="lost_card", hard=hard)))).split())
            for hard in (False, True)
        )
        assert ("we try again" in tried, "this card is not tried again" in tried) == (True, False)
        assert ("we try again" in refused, "this card is not tried again" in refused) == (False, True)
        assert "with another card, until 1 April 2027" in refused

    def test_a_refund_in_part_says_so_and_how_much(self) -> None:
        part = Facts(refunded=Money(amount=500, currency="EUR"), partly=True)
        message = read(due(Kind.PLEDGE_REFUNDED, part))
        assert message["Subject"] == "A part of your pledge to “A board game” is refunded"
        assert "€5.00 in all is refunded" in " ".join(text(message).split())
        assert "€1,234.56 goes back to your card" in " ".join(text(read(due(Kind.PLEDGE_REFUNDED))).split())

    @pytest.mark.parametrize(("won", "expected"), [(True, "yours again"), (False, "decided for the backer")])
    def test_a_creator_is_told_how_a_dispute_ended(self, won: bool, expected: str) -> None:
        assert expected in text(read(due(Kind.DISPUTE_CLOSED, Facts(disputed=EUR, won=won))))

    @pytest.mark.parametrize(
        ("kind", "subject"),
        [
            (PayoutKind.MAIN, "Your payout for “A board game” is on its way"),
            (PayoutKind.RESERVE, "The reserve for “A board game” is on its way to you"),
            (PayoutKind.LATER, "A later payout for “A board game” is on its way"),
        ],
    )
    def test_a_payout_says_what_it_is_made_of(self, kind: PayoutKind, subject: str) -> None:
        five = Money(amount=500, currency="EUR")
        paid = Facts(payout=EUR, total=EUR, platform_fee=EUR, provider_fee=EUR, payout_kind=kind, reserve=five)
        message = read(due(Kind.CREATOR_PAYOUT, paid))
        assert message["Subject"] == subject
        assert "Kept back for disputes, and paid out later: €5.00." in text(message)
        assert "Refunded to backers" not in text(message)

    def test_what_is_not_known_yet_is_waited_for(self) -> None:
        with pytest.raises(IncompleteError, match="campaign"):
            read(replace(due(), title=None))
        with pytest.raises(IncompleteError, match="reward"):
            read(replace(due(), reward=None, reward_missing=True))


class TestFormats:
    @pytest.mark.parametrize(
        ("locale", "currency", "expected"),
        [
            ("en", "EUR", "€12,345.67"),
            ("de", "EUR", "12.345,67\xa0€"),
            ("de-AT", "EUR", "€\xa012.345,67"),
            ("fr-CH", "CHF", "12\u202f345,67\xa0CHF"),
            ("ja", "JPY", "￥1,234,567"),
            ("de", "JPY", "1.234.567\xa0¥"),
            ("de", "KWD", "1.234,567\xa0KWD"),
            ("en", "PKR", "PKR12,345.67"),  # CLDR alone would round the fraction away
            ("xx-XX", "EUR", "€12,345.67"),
        ],
    )
    def test_amounts_have_the_recipients_format_and_the_currencys_decimals(
        self, locale: str, currency: str, expected: str
    ) -> None:
        amount = Money(amount=1234567, currency=currency)
        body = text(read(replace(due(), amount=amount), replace(ADA, locale=locale)))
        assert f"your pledge of {expected} to" in body

    def test_months_and_times_speak_the_language_of_the_text(self) -> None:
        body = text(read(due(), replace(ADA, locale="de-DE")))
        assert "September 2027" in body
        assert "1 April 2027, 18:00:00 UTC" in body

    @pytest.mark.parametrize("tag", ["", "zz", "en-", "x" * 200, "de-XX", "../etc", "en_US", "C"])
    def test_no_locale_stops_a_mail(self, tag: str) -> None:
        assert "Hello Ada" in text(read(due(), replace(ADA, locale=tag)))


class TestHeaders:
    def test_a_mail_can_be_counted_by_kind_and_campaign(self) -> None:
        one = due(Kind.MILESTONE)
        message = read(one)
        assert message["X-Groundswell-Notice"] == "milestone"
        assert message["X-Groundswell-Campaign"] == str(one.campaign_id)

    def test_the_same_notice_has_the_same_message_id_and_date(self) -> None:
        one = due()
        first, again = read(one), read(one)
        assert (first["Message-ID"], first["Date"]) == (again["Message-ID"], again["Date"])
        assert first["Message-ID"] != read(due())["Message-ID"]

    @pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00", "\u202e"])
    def test_a_title_or_a_name_adds_no_header(self, evil: str) -> None:
        injection = f"Game{evil}Bcc: eve@example.org{evil}{evil}<script>alert(1)</script>"
        one = replace(due(), title=injection, reward=Reward(injection, "2027-09"))
        message = read(one, replace(ADA, name=injection))
        assert set(message.keys()) == HEADERS
        assert message["To"] == "ada@example.org"
        assert evil not in message["Subject"]
        assert "<script>" not in text(message, "html")

    @pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00", "\u202e"])
    def test_an_updates_title_and_text_add_no_header_no_markup_and_no_template(self, evil: str) -> None:
        hostile = f"News{evil}Bcc: eve@example.org{evil}{evil}</p><script>alert(1)</script>{{{{ name }}}}"
        message = read(due(Kind.CREATOR_UPDATE, Facts(title=hostile, text=hostile)))
        plain, html = text(message), text(message, "html")
        assert set(message.keys()) == HEADERS
        assert message["Subject"].startswith("News of “A board game”: News")
        assert "{{ name }}" in plain
        assert "<script>" not in html
        assert "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{ name }}" in html
        assert "\u202e" not in plain + html

    @settings(max_examples=100, deadline=None)
    @given(
        title=st.text(st.characters(codec="utf-8"), max_size=200),
        name=st.text(st.characters(codec="utf-8"), max_size=100),
    )
    def test_whatever_people_type_goes_out_as_it_is_and_breaks_nothing(self, title: str, name: str) -> None:
        message = read(replace(due(), title=title), replace(ADA, name=name))
        assert set(message.keys()) == HEADERS
        assert message["To"] == "ada@example.org"
        assert f"Hello {wording.one_line(name)}," in text(message)
        assert message.defects == []


def test_what_was_typed_stays_on_one_line_and_keeps_its_letters() -> None:
    assert wording.one_line("  Zoë\r\n O'Neil\t👩\u200d🚀 ") == "Zoë O'Neil 👩\u200d🚀"
