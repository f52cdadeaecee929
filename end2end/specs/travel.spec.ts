// Time travel: a finished run at any of its events (F3).

import { AxeBuilder } from "@axe-core/playwright";

import { expect, PROJECT, test } from "../fixtures";

test("one drags through a finished run and sees the page as it was (F3, F4)", async ({ member, models, workspace }) => {
  await models.script([
    { lastUser: "Draft about", fault: { kind: "status", status: 500 }, times: 1 },
    { text: "Said." },
  ]);
  const template = {
    apiVersion: "troupe/v1",
    key: "again",
    name: "Again",
    input: { type: "object", properties: { topic: { type: "string" } } },
    steps: [
      { name: "Draft", prompt: "Draft about {{ context.input.topic }}", maxRetries: 2 },
      { name: "Polish", prompt: "Polish {{ context.Draft }}" },
    ],
  };
  await workspace.rest.post(`/projects/${PROJECT}/templates`, template);
  const launched = await workspace.rest.post<{ run: number }>(`/projects/${PROJECT}/templates/again/execute`, {
    input: { topic: "rivers" },
  });
  await expect.poll(async () => (await workspace.run(launched.run)).status).toBe("completed");
  await member.goto(`/p/${PROJECT}/runs/${launched.run}`);
  await member.getByRole("button", { name: "Replay" }).click();
  const travel = member.getByRole("region", { name: "Time travel" });
  const slider = travel.getByLabel("Moment of the run");
  const steps = member.getByRole("list", { name: "Steps", exact: true });
  const draft = steps.getByRole("link").filter({ hasText: "Draft" });
  const polish = steps.getByRole("link").filter({ hasText: "Polish" });

  // By keyboard only, starting at the first event.
  await slider.focus();
  await member.keyboard.press("Home");
  await expect(draft).toContainText("Pending");
  await expect(polish).toContainText("Pending");
  for (let event = 0; event < 40 && !(await travel.textContent())?.includes("tried again"); event += 1) {
    await member.keyboard.press("ArrowRight");
  }
  await expect(travel).toContainText("overload");
  await expect(draft).toContainText("Retrying");
  await expect(polish, "what came later has not happened yet").toContainText("Pending");
  await expect(member).toHaveURL(/[?&]at=\d+/);
  for (const colorScheme of ["light", "dark"] as const) {
    await member.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page: member }).analyze();
    expect(violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html) }))).toEqual([]);
  }

  // The URL holds the event, which stays when the user opens a step.
  await draft.click();
  const panel = member.getByRole("complementary", { name: "Draft" });
  await expect(panel).toContainText("Attempt 1");
  await expect(panel).not.toContainText("Attempt 2");
  await expect(member).toHaveURL(/[?&]at=\d+/);
  await member.reload();
  await expect(travel).toContainText("overload");
  await expect(draft).toContainText("Retrying");

  await travel.getByRole("button", { name: "Play" }).click();
  await expect(travel).toContainText(/Event (\d+) of \1\b/);
  await expect(polish).toContainText("Completed");
  await travel.getByRole("button", { name: "Back to the end" }).click();
  await expect(travel).toBeHidden();
  await expect(member).not.toHaveURL(/[?&]at=/);
});
