// Shows one service's OpenAPI document with Swagger UI, where each request can be tried.
"use strict";

const page = document.currentScript.dataset;

const TOKEN = "Token"; // The name of the security scheme in the documents.
const KEY = "Idempotency-Key";
const EXAMPLE_DAYS = 30; // The middle of what a launch accepts.

/** A key is new for every command: the page makes one where the person leaves it empty. */
function makeKeysOptional(description) {
  const operations = Object.values(description.paths).flatMap((methods) => Object.values(methods));
  for (const parameter of operations.flatMap((operation) => operation.parameters ?? [])) {
    if (parameter.name === KEY) {
      parameter.required = false;
      parameter.description += " Left empty here, this page makes a new one.";
    }
  }
  return description;
}

/** A document's example has a date that does not change, and which a launch refuses one day. */
function moveDeadlines(description) {
  const ahead = new Date(Date.now() + EXAMPLE_DAYS * 86_400_000).toISOString();
  for (const example of Object.values(description.components.schemas).flatMap((schema) => schema.examples ?? [])) {
    if (example.deadline) example.deadline = ahead;
  }
  return description;
}

function withKey(request) {
  if (request.method !== "GET") request.headers[KEY] ??= crypto.randomUUID();
  return request;
}

/** Requests carry the token of the chosen person, also after a change to another service's page. */
function offerPeople(ui) {
  const choices = [...document.querySelectorAll("input[name=person]")];
  const choose = ({ dataset: person, value: token }) => {
    sessionStorage.setItem("person", person.name);
    if (token) ui.preauthorizeApiKey(TOKEN, token);
    else ui.authActions.logout([TOKEN]);
  };
  for (const choice of choices) choice.addEventListener("change", () => choose(choice));
  const before = choices.find((choice) => choice.dataset.name === sessionStorage.getItem("person"));
  if (before) {
    before.checked = true;
    choose(before);
  }
}

async function show() {
  const description = await (await fetch(page.openapi)).json();
  const ui = SwaggerUIBundle({
    dom_id: "#api",
    spec: moveDeadlines(makeKeysOptional(description)),
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    validatorUrl: null, // The default sends the document to a third party.
    requestInterceptor: withKey,
    onComplete: () => offerPeople(ui),
  });
}

show();
