"use strict";
// Fetches the numbers with the viewer's token and shows them, again every second. Text goes in as text, never as HTML.
(() => {
  const REFRESH_MS = 1000;
  const REFRESH_AFTER_PROBLEM_MS = 5000;
  const SESSION_KEY = "groundswell-token";
  const base = `/campaigns/${document.body.dataset.campaign}/analytics`;
  const at = (id) => document.getElementById(id);
  let shown = "";

  // -- the token: from the address after #token=, which no server sees, or pasted; kept for this tab only -----------
  const takeToken = () => {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) {
      sessionStorage.setItem(SESSION_KEY, given);
      history.replaceState(null, "", location.pathname + location.search);
    }
    return sessionStorage.getItem(SESSION_KEY);
  };
  const headers = () => ({ Authorization: `Bearer ${takeToken()}` });
  const askForToken = (text) => {
    sessionStorage.removeItem(SESSION_KEY);
    shown = "";
    at("numbers").hidden = true;
    at("sign-in").hidden = false;
    say(text, true);
  };

  // -- words and numbers -----------------------------------------------------------------------------------------------
  const say = (text, problem = false) => {
    if (at("message").textContent !== text) at("message").textContent = text;
    at("message").classList.toggle("problem", problem);
  };
  const count = (value) => new Intl.NumberFormat().format(value);
  const money = ({ amount, currency }, digits) => {
    const minor = String(Math.abs(amount)).padStart(digits + 1, "0");
    const whole = minor.slice(0, minor.length - digits);
    const decimal = (amount < 0 ? "-" : "") + whole + (digits ? `.${minor.slice(-digits)}` : "");
    const style = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    return new Intl.NumberFormat(undefined, style).format(decimal);
  };
  const moment = (text) => (text ? new Date(text).toLocaleString() : "");
  const country = (code) => {
    try {
      return new Intl.DisplayNames(undefined, { type: "region" }).of(code);
    } catch {
      return code;
    }
  };

  // -- building blocks -------------------------------------------------------------------------------------------------
  const make = (tag, text = "", className = "") => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  };
  const within = (parent, ...children) => {
    parent.append(...children);
    return parent;
  };
  const bar = (share) => {
    const fill = make("div", "", "fill");
    fill.style.width = `${Math.max(0, Math.min(100, share * 100))}%`;
    return within(make("div", "", "track"), fill);
  };
  // A column is [heading, kind, cell text]; a kind is "" for text, "number", or "bar", whose cell is a number.
  const table = (caption, columns, rows) => {
    const largest = columns.map(([, kind, cell]) => (kind === "bar" ? Math.max(1, ...rows.map(cell)) : 0));
    const head = make("tr");
    for (const [heading, kind] of columns) {
      const th = make("th", kind === "bar" ? "" : heading, kind);
      if (kind === "bar") th.setAttribute("aria-hidden", "true");
      th.scope = "col";
      head.append(th);
    }
    const body = make("tbody");
    for (const row of rows) {
      const tr = make("tr");
      columns.forEach(([, kind, cell], index) => {
        const td = make(index ? "td" : "th", kind === "bar" ? "" : cell(row), kind);
        if (!index) td.scope = "row";
        if (kind === "bar") {
          td.setAttribute("aria-hidden", "true");
          td.append(bar(cell(row) / largest[index]));
        }
        tr.append(td);
      });
      body.append(tr);
    }
    if (!rows.length) {
      const nothing = make("td", "Nothing yet");
      nothing.colSpan = columns.length;
      body.append(within(make("tr"), nothing));
    }
    const whole = within(make("table"), make("caption", caption), within(make("thead"), head), body);
    return within(make("div", "", "table"), whole);
  };
  const section = (name, heading, content) => {
    const title = make("h2", heading);
    title.id = `${name}-heading`;
    const button = make("button", "Download CSV");
    button.type = "button";
    button.setAttribute("aria-label", `Download “${heading}” as CSV`);
    button.addEventListener("click", () => download(name));
    const whole = within(make("section"), within(make("div", "", "heading"), title, button), content);
    whole.setAttribute("aria-labelledby", title.id);
    return whole;
  };
  const download = async (name) => {
    const answer = await fetch(`${base}/${name}.csv`, { headers: headers() });
    if (!answer.ok) return say(`The CSV cannot be had just now (${answer.status}).`, true);
    const link = make("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
    return undefined;
  };

  // -- the sections ----------------------------------------------------------------------------------------------------
  const FUNNEL = [
    ["placed", "Placed"], ["authorized", "Authorized"], ["captured", "Captured"], ["declined", "Declined"],
    ["cancelled", "Cancelled"], ["capture_failed", "Capture failed"], ["dropped", "Dropped"],
    ["voided", "Voided"], ["refunded", "Refunded"],
  ];
  const show = (report) => {
    const { campaign, totals } = report;
    const amount = (value) => (value ? money(value, campaign.currency_decimals) : "");
    const focused = document.activeElement?.getAttribute("aria-label");
    document.title = `${campaign.title} · Dashboard`;
    at("title").textContent = campaign.title;
    const state = campaign.status.replace("_", " ");
    at("about").textContent = `${state} · ${campaign.model.replaceAll("_", " ")} · deadline ${moment(campaign.deadline)}`;
    at("goal-bar").style.width = `${Math.min(100, totals.percent)}%`;
    at("goal-text").textContent = `${amount(totals.pledged)} of ${amount(campaign.goal)} (${count(totals.percent)} %)`;
    at("totals").replaceChildren(...[
      ["Pledged", amount(totals.pledged)], ["Backers", count(totals.backers)],
      ["Placed", count(totals.placed)], ["Captured", amount(totals.captured_amount)],
    ].map(([name, value]) => within(make("div"), make("dt", name), make("dd", value))));
    at("empty").hidden = totals.placed > 0;
    const money_columns = [
      ["Backers", "number", (row) => count(row.backers)],
      ["Pledged", "number", (row) => amount(row.pledged)],
      ["Share", "bar", (row) => row.pledged.amount],
    ];
    at("tables").replaceChildren(
      section("tiers", "Rewards", table("Pledges by reward, with slots left", [
        ["Reward", "", (row) => row.title],
        ["From", "number", (row) => amount(row.minimum)],
        ["Slots left", "number", (row) => (row.limit === null ? "unlimited" : `${count(row.slots_left)} of ${count(row.limit)}`)],
        ...money_columns,
      ], report.tiers)),
      section("days", "Day by day", table("Pledges by the day they were placed on (UTC)", [
        ["Day", "", (row) => row.day],
        ["Placed", "number", (row) => count(row.placed)],
        ...money_columns,
      ], report.days)),
      section("countries", "Countries", table("Pledges by the backer’s country", [
        ["Country", "", (row) => country(row.country)],
        ...money_columns,
      ], report.countries)),
      section("funnel", "From placed to captured", table("How far pledges came and how others ended", [
        ["Step", "", ([, name]) => name],
        ["Pledges", "number", ([key]) => count(report.funnel[key])],
        ["Share", "bar", ([key]) => report.funnel[key]],
      ], FUNNEL)),
      section("milestones", "Milestones", table("Milestones that were crossed", [
        ["Milestone", "", (row) => row.stretch_goal ?? `${row.percent} % of the goal`],
        ["At", "number", (row) => amount(row.threshold)],
        ["Backers then", "number", (row) => count(row.backers)],
        ["When", "", (row) => moment(row.crossed_at)],
      ], report.milestones)),
    );
    if (focused) document.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  };

  // -- again and again -------------------------------------------------------------------------------------------------
  const refresh = async () => {
    if (!takeToken()) return askForToken("Paste an access token of the campaign’s creator.");
    const answer = await fetch(base, { headers: headers(), cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      return askForToken("The token does not hold or has expired. Paste a new one.");
    }
    if (answer.status === 404) {
      at("sign-in").hidden = false;
      say("There is no such campaign, or it is not yours. Looking again every few seconds.", true);
      return REFRESH_AFTER_PROBLEM_MS;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== shown) show(JSON.parse(text));
    shown = text;
    at("sign-in").hidden = true;
    at("numbers").hidden = false;
    say("Live: the numbers refresh every second.");
    return REFRESH_MS;
  };
  let timer = 0;
  const loop = async () => {
    clearTimeout(timer);
    let pause = REFRESH_MS;
    try {
      pause = document.hidden ? REFRESH_MS : await refresh();
    } catch {
      say("The numbers cannot be had just now; trying again.", true);
      pause = REFRESH_AFTER_PROBLEM_MS;
    }
    if (pause) timer = setTimeout(loop, pause);
  };

  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(SESSION_KEY, at("token").value.trim());
    at("token").value = "";
    loop();
  });
  loop();
})();
