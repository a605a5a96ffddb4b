"""The routes of what moves money after a payment: refunds, transfers and their reversals, disputes, the balance."""

from stripe_sandbox.balance import Balance
from stripe_sandbox.disputes import Disputes
from stripe_sandbox.errors import Document, StripeError, no_such, not_found
from stripe_sandbox.forms import Params
from stripe_sandbox.money import check_currency
from stripe_sandbox.reading import Call, window
from stripe_sandbox.rendering import render
from stripe_sandbox.rendering_lists import render_list
from stripe_sandbox.resources import Charge, Dispute, Transfer
from stripe_sandbox.state import State

REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class MoneyApi:
    def __init__(self, state: State, balance: Balance, disputes: Disputes) -> None:
        self._state = state
        self._balance = balance
        self._disputes = disputes

    def refund(self, call: Call) -> Document:
        charge = self._charge_to_refund(call.params)
        amount = call.params.integer("amount", minimum=1)
        reason = call.params.choice("reason", REFUND_REASONS)
        metadata = call.params.metadata()
        call.params.close()
        return render(self._balance.refund(charge, amount, reason, metadata, call.origin))

    def _charge_to_refund(self, params: Params) -> Charge:
        charge_id, intent_id = params.text("charge"), params.text("payment_intent")
        if charge_id is None and intent_id is None:
            raise StripeError(
                "One of the following params should be provided for this request: payment_intent or charge.",
                code="parameter_missing",
            )
        return find_charge(self._state, charge_id, intent_id)

    def transfer(self, call: Call) -> Document:
        params = call.params
        destination = params.required_text("destination")
        source = params.text("source_transaction")
        wanted = Transfer(
            id=self._state.ids.new("tr"),
            created=self._state.clock.now(),
            amount=params.required_integer("amount", minimum=1),
            currency=check_currency(params.required_text("currency")),
            destination=destination,
            destination_payment=self._state.ids.new("py"),
            balance_transaction="",
            metadata=params.metadata(),
            description=params.text("description"),
            source_transaction=source,
            transfer_group=params.text("transfer_group"),
        )
        params.close()
        if not destination.startswith("acct_"):
            raise no_such("destination", destination, "destination")
        if source is not None and self._state.charges.get(source) is None:
            raise no_such("charge", source, "source_transaction")
        return render(self._balance.transfer(wanted, call.origin))

    def reverse(self, call: Call) -> Document:
        amount = call.params.integer("amount", minimum=1)
        metadata = call.params.metadata()
        call.params.close()
        return render(self._balance.reverse(self._transfer(call), amount, metadata, call.origin))

    def list_reversals(self, call: Call) -> Document:
        part = window(call.params)
        call.params.close()
        transfer = self._transfer(call)
        rows, more = self._state.reversals.page({"transfer": transfer.id}, part)
        return render_list(map(render, rows), f"/v1/transfers/{transfer.id}/reversals", has_more=more)

    def retrieve_reversal(self, call: Call) -> Document:
        call.params.close()
        reversal = self._state.reversals.get(call.child_id)
        if reversal is None or reversal.transfer != call.object_id:
            raise not_found("transfer reversal", call.child_id)
        return render(reversal)

    def close_dispute(self, call: Call) -> Document:
        """Accepting a dispute loses it."""
        call.params.close()
        return render(self._disputes.close(find_dispute(self._state, call.object_id), won=False, origin=call.origin))

    def balance(self, call: Call) -> Document:
        call.params.close()
        balance = self._state.balance or {"usd": 0}
        return {
            "object": "balance",
            "available": [
                {"amount": amount, "currency": currency, "source_types": {"card": amount}}
                for currency, amount in balance.items()
            ],
            "livemode": False,
            "pending": [{"amount": 0, "currency": currency, "source_types": {"card": 0}} for currency in balance],
        }

    def _transfer(self, call: Call) -> Transfer:
        transfer = self._state.transfers.get(call.object_id)
        if transfer is None:
            raise not_found("transfer", call.object_id)
        return transfer


def find_charge(state: State, charge_id: str | None, intent_id: str | None) -> Charge:
    """The charge that one of them, or both, name."""
    if intent_id is not None:
        intent = state.intents.get(intent_id)
        if intent is None:
            raise no_such("payment_intent", intent_id, "payment_intent")
        if charge_id not in {None, intent.latest_charge}:
            raise StripeError("The charge does not belong to the PaymentIntent.", param="charge")
        if intent.latest_charge is None:
            raise StripeError(
                f"This PaymentIntent ({intent_id}) does not have a successful charge.",
                code="payment_intent_unexpected_state",
            )
        charge_id = intent.latest_charge
    charge = state.charges.get(charge_id or "")
    if charge is None:
        raise no_such("charge", charge_id or "", "charge")
    return charge


def find_dispute(state: State, dispute_id: str) -> Dispute:
    dispute = state.disputes.get(dispute_id)
    if dispute is None:
        raise not_found("dispute", dispute_id)
    return dispute
