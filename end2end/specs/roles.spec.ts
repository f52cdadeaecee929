// Roles: creating one, changing it, and trying it before it is saved (C8).

import { expect, test } from "../fixtures";
import { numbered } from "../fixtures/conversation";

test("a role is made, found in the list, changed, and has further versions", async ({ member }) => {
  await member.goto("/p/work/roles");
  await member.getByRole("link", { name: "New role" }).click();
  await member.getByRole("textbox", { name: "Name" }).fill("Report bot");
  await member.getByLabel("Base prompt").fill("You write reports.");
  await member.getByRole("combobox", { name: "Model" }).selectOption("scripted-large");
  await member.getByRole("button", { name: "Make the role" }).click();

  await expect(member.getByRole("heading", { name: "Report bot", level: 1 })).toBeVisible();
  await expect(member.getByText("version 1")).toBeVisible();
  await expect(member.getByLabel("Base prompt")).toHaveValue("You write reports.");

  await member.getByLabel("Base prompt").fill("You write short reports.");
  await member.getByRole("button", { name: "Save as version 2" }).click();
  await expect(member.getByText("version 2", { exact: true })).toBeVisible();
  // The page stays as it was, so that keyboard users keep their place.
  const save = member.getByRole("button", { name: "Save as version 3" });
  await expect(save).toBeFocused();
  await member.getByRole("textbox", { name: "Name" }).fill("Report writer");
  await save.press("Enter");
  await expect(member.getByRole("heading", { name: "Report writer", level: 1 })).toBeVisible();
  await expect(member.getByText("version 3", { exact: true })).toBeVisible();
  await expect(member.getByRole("button", { name: "Save as version 4" })).toBeFocused();

  await member.goto("/p/work/roles");
  const row = member.getByRole("table", { name: "Roles" }).getByRole("row", { name: /report_bot/ });
  await expect(row).toContainText("Report writer");
  await expect(row).toContainText("scripted/scripted-large");
});

test("what is wrong is told at its field, and what was typed stays", async ({ member, consoles }) => {
  consoles.allow(/Failed to load resource: the server responded with a status of 4\d\d/);
  await member.goto("/p/work/roles/new");
  await member.getByRole("textbox", { name: "Name" }).fill("Senior again");
  await member.getByRole("textbox", { name: /^Key/ }).fill("senior_reviewer");
  await member.getByRole("combobox", { name: "Model" }).selectOption("scripted");
  await member.getByRole("button", { name: "Make the role" }).click();
  await expect(member.getByRole("alert").filter({ hasText: "senior_reviewer" })).toBeVisible();

  await member.getByRole("textbox", { name: /^Key/ }).fill("Not a key");
  await member.getByRole("button", { name: "Make the role" }).click();
  await expect(member.getByRole("textbox", { name: /^Key/ })).toHaveAttribute("aria-invalid", "true");
  await expect(member.getByRole("textbox", { name: "Name" })).toHaveValue("Senior again");
});

test("a role is tried as it stands in the form, and its words appear as they come", async ({ member, models }) => {
  const text = numbered(80);
  await models.script([{ text, chunkSize: 10, hold: 12 }]);
  await member.goto("/p/work/roles/senior_reviewer");
  await member.getByLabel("Base prompt").fill("You are somebody new.");
  await member.getByRole("textbox", { name: "Message" }).fill("Who are you?");
  await member.getByRole("button", { name: "Try it" }).click();
  await expect(member.getByText(text.slice(0, 120), { exact: true })).toBeVisible();
  await models.release();
  await expect(member.getByText(text, { exact: true })).toBeVisible();
  await expect(member.getByText(/tokens in/)).toBeVisible();

  const [call] = await models.calls();
  expect(call?.system).toBe("You are somebody new.");
  expect(call?.messages).toEqual([{ role: "user", content: "Who are you?" }]);
  // Trying saves nothing, and leaving the page loses no typed text.
  await member.getByRole("navigation").getByRole("link", { name: "Templates" }).first().click();
  await expect(member).toHaveURL(/templates$/);
  await member.goto("/p/work/roles/senior_reviewer");
  await expect(member.getByText("Not saved yet")).toBeVisible();
  await expect(member.getByLabel("Base prompt")).toHaveValue("You are somebody new.");
  await member.getByRole("button", { name: "Discard it" }).click();
  await expect(member.getByLabel("Base prompt")).toHaveValue("You are a senior reviewer.");
  await member.reload();
  await expect(member.getByLabel("Base prompt")).toHaveValue("You are a senior reviewer.");
  await expect(member.getByText("Not saved yet")).toBeHidden();
});

test("a trial that fails says why", async ({ member, models }) => {
  await models.script([{ fault: { kind: "status", status: 401, message: "no such key" } }]);
  await member.goto("/p/work/roles/senior_reviewer");
  await member.getByRole("textbox", { name: "Message" }).fill("Who are you?");
  await member.getByRole("button", { name: "Try it" }).click();
  await expect(member.getByRole("main")).toContainText("does not accept the API key");
});
