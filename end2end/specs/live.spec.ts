// A live run: one assistant message, with its status inside, and each character once (A1, A3, A4, A5, C4).

import { expect, signIn, test } from "../fixtures";
import { Conversation, numbered } from "../fixtures/conversation";

const TEXT = numbered(400);
const CHUNK = 12;
/** The piece at which the answer is held: earlier pieces are on the page, later ones are not. */
const HOLD = Math.floor(TEXT.length / CHUNK / 2);
const FIRST_HALF = TEXT.slice(0, HOLD * CHUNK);

test("live text appears while the model speaks; a reload loses and doubles nothing (A4, A5)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([
    { lastUser: "Draft about", text: TEXT, chunkSize: CHUNK, hold: HOLD },
    { lastUser: "Polish this", text: "Polished." },
  ]);
  const { run, taskId } = await workspace.launch("rivers");
  const conversation = await new Conversation(member).open(taskId);

  await expect(conversation.liveText(run)).toHaveText(FIRST_HALF);
  await conversation.isSaidToBe(run, "Running");
  await expect(conversation.step(run, "Draft")).toContainText("Running");

  await member.reload();
  await expect(conversation.liveText(run)).toHaveText(FIRST_HALF);

  await models.release();
  await conversation.isSaidToBe(run, "Completed");
  await conversation.unfold(run);
  // The input of the second step is the complete output of the first one.
  const [, polish] = await models.calls();
  expect(polish?.messages.at(-1)?.content).toBe(`Polish this: ${TEXT}`);
  await expect(conversation.responses).toHaveCount(1);
  await expect(conversation.responses).toContainText("Polished.");

  await conversation.step(run, "Draft").getByText("Output").click();
  await expect(conversation.step(run, "Draft").getByText(TEXT, { exact: true })).toBeVisible();
});

test("a second browser sees the same run in the middle, and its end (A5)", async ({
  browse,
  member,
  models,
  workspace,
}) => {
  await models.script([
    { lastUser: "Draft about", text: TEXT, chunkSize: CHUNK, hold: HOLD },
    { lastUser: "Polish this", text: "Polished." },
  ]);
  const { run, taskId } = await workspace.launch("rivers");
  const here = await new Conversation(member).open(taskId);
  await expect(here.liveText(run)).toHaveText(FIRST_HALF);

  const other = await browse();
  await signIn(other);
  const there = await new Conversation(other).open(taskId);
  await expect(there.liveText(run)).toHaveText(FIRST_HALF);

  await models.release();
  for (const conversation of [here, there]) {
    await conversation.isSaidToBe(run, "Completed");
    await expect(conversation.responses).toHaveCount(1);
    await expect(conversation.responses).toContainText("Polished.");
  }
});

test("two runs with other roles are two responses, each with its own status (A1, A3, C4)", async ({
  member,
  models,
  workspace,
}) => {
  await models.script([
    { system: "senior reviewer", lastUser: "Draft about", text: "Drafted by a senior." },
    { system: "junior reviewer", lastUser: "Draft about", text: "Drafted by a junior.", hold: 0 },
    { text: "Polished by {{system}}" },
  ]);
  const first = await workspace.launch("rivers", { Draft: "senior_reviewer", Polish: "senior_reviewer" });
  const conversation = await new Conversation(member).open(first.taskId);
  await conversation.isSaidToBe(first.run, "Completed");

  // A run launched elsewhere in the same conversation appears by itself.
  const second = await workspace.launch("rivers", { Draft: "junior_reviewer" }, first.taskId);
  await expect(conversation.responses).toHaveCount(2);
  await conversation.isSaidToBe(second.run, "Running");
  await conversation.isSaidToBe(first.run, "Completed");
  await expect(conversation.step(second.run, "Draft")).toContainText("junior_reviewer");

  await models.release();
  await conversation.isSaidToBe(second.run, "Completed with warnings");
  await conversation.unfold(second.run);
  await expect(conversation.status(second.run).getByRole("list", { name: "Warnings" })).toContainText(
    "general_worker",
  );
  await expect(conversation.responses.first()).toContainText("Polished by You are a senior reviewer.");
  await expect(conversation.responses.last()).toContainText("Polished by You are a general worker.");

  await member.reload();
  await expect(conversation.messages).toHaveCount(4);
  await conversation.isSaidToBe(first.run, "Completed");
  await conversation.isSaidToBe(second.run, "Completed with warnings");
});

test("free text is answered by the role that was chosen, as it speaks", async ({ member, models }) => {
  await models.script([{ text: TEXT, chunkSize: CHUNK, hold: HOLD }]);
  await member.goto("/p/work/conversations/new");
  await member.getByRole("textbox", { name: "Message" }).fill("Tell me about rivers");
  await member.getByLabel("Role").selectOption({ label: "Senior reviewer" });
  await member.getByRole("button", { name: "Send" }).click();

  await expect(member).toHaveURL(/conversations\/[0-9a-f-]{36}/);
  const conversation = new Conversation(member);
  await expect(conversation.messages.first()).toContainText("Tell me about rivers");
  await expect(conversation.responses).toContainText(FIRST_HALF);
  await models.release();
  await conversation.isSaidToBe(1, "Completed");
  await expect(conversation.responses.getByText(TEXT, { exact: true }).first()).toBeVisible();
  const [call] = await models.calls();
  expect(call?.system).toContain("senior reviewer");
});
