// Figures of perceived performance (data of the size, a streaming model, two busy cores): page load, layout
// shift, key latency while steps stream, panning of a large drawing, memory of a tab.

import type { Page } from "@playwright/test";

import { awake, expect, PROJECT, test } from "../fixtures";
import { fill } from "../fixtures/long";
import { type Figure, print } from "./table";

const figures: Figure[] = [];
test.afterAll(() => print(figures));

interface Seen {
  lcp: number;
  shift: number;
  /** Times from a key press to the next paint, in milliseconds; the browser rounds to 8. */
  keys: number[];
}

/** Adds measurements to every page loaded from now on. */
async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen: Seen = { lcp: 0, shift: 0, keys: [] };
    Object.assign(window, { seen });
    const observe = (type: string, take: (entry: PerformanceEntry) => void, more: object = {}) =>
      new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...more });
    observe("largest-contentful-paint", (entry) => (seen.lcp = entry.startTime));
    observe("layout-shift", (entry) => {
      const { value, hadRecentInput } = entry as PerformanceEntry & { value: number; hadRecentInput: boolean };
      if (!hadRecentInput) seen.shift += value;
    });
    observe("event", (entry) => entry.name === "keydown" && seen.keys.push(entry.duration), { durationThreshold: 16 });
  });
}

const seen = (page: Page) => page.evaluate(() => (window as unknown as { seen: Seen }).seen);

/** Memory of the tab's script, WebAssembly and document in megabytes, after a garbage collection. */
async function heap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const usage = (await session.send("Runtime.getHeapUsage")) as Record<string, number>;
  return ((usage.usedSize ?? 0) + (usage.embedderHeapUsedSize ?? 0) + (usage.backingStorageSize ?? 0)) / 1_000_000;
}

/** Loads the page five times; the figures are the medians. */
async function load(page: Page, what: string, path: string): Promise<void> {
  const paints: number[] = [];
  let shift = 0;
  for (let turn = 0; turn < 5; turn += 1) {
    await page.goto(path);
    // A key press ends the browser's measurement of the largest paint.
    await expect.poll(async () => (await seen(page)).lcp).toBeGreaterThan(0);
    await page.waitForTimeout(500);
    await awake(page);
    const figures = await seen(page);
    paints.push(figures.lcp);
    shift = Math.max(shift, figures.shift);
  }
  paints.sort((one, other) => one - other);
  figures.push({ what: `${what}: largest contentful paint`, measured: paints[2]!, unit: "ms", atMost: 1_000 });
  figures.push({ what: `${what}: layout shift, the worst of five`, measured: shift, unit: "", atMost: 0.02 });
}

/** Frames per second during `move`, and the longest time without a frame. */
async function frames(page: Page, what: string, move: () => Promise<void>, atLeast?: number): Promise<void> {
  await page.evaluate(() => {
    const times: number[] = [];
    const next = (time: number) => {
      times.push(time);
      (window as unknown as { counting: number }).counting = requestAnimationFrame(next);
    };
    Object.assign(window, { times });
    requestAnimationFrame(next);
  });
  await move();
  const times = await page.evaluate(() => {
    const { times, counting } = window as unknown as { times: number[]; counting: number };
    cancelAnimationFrame(counting);
    return times;
  });
  const rate = ((times.length - 1) * 1000) / (times.at(-1)! - times[0]!);
  figures.push({ what: `${what}: frames`, measured: rate, unit: "/s", atLeast });
}

test("a conversation of 5,000 messages", async ({ member: page, models, product, workspace }) => {
  await models.script([{ text: "It is **so**." }]);
  const { taskId } = await workspace.launch("rivers");
  fill(product.data, taskId, 5_000);
  await watch(page);
  await load(page, "5,000 messages", `/p/${PROJECT}/conversations/${taskId}`);
  await page.getByRole("log", { name: "Messages" }).hover();
  await frames(page, "5,000 messages, scrolling", async () => {
    for (let turn = 0; turn < 120; turn += 1) {
      await page.mouse.wheel(0, -400);
      await page.waitForTimeout(16);
    }
  });
  figures.push({ what: "5,000 messages: heap after scrolling", measured: await heap(page), unit: "MB", atMost: 200 });
});

test("keys while twenty steps stream", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Words that come one after the other. ".repeat(60), chunkSize: 12, chunkMs: 60 }]);
  const steps = Array.from({ length: 20 }, (_, place) => ({ name: `Step ${place}`, prompt: "Go", dependsOn: [] }));
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "many", name: "Many", steps });
  const { taskId } = await workspace.rest.post<{ taskId: string }>(`/projects/${PROJECT}/templates/many/execute`, { input: {} });
  await watch(page);
  await page.goto(`/p/${PROJECT}/conversations/${taskId}`);
  const before = (await seen(page)).keys.length;
  const field = page.getByRole("textbox", { name: "Message", exact: true });
  const text = "What is typed while the answers stream shows at once. ".repeat(2);
  await field.pressSequentially(text, { delay: 60 });
  await expect(field).toHaveValue(text);
  const keys = (await seen(page)).keys.slice(before);
  // The browser does not report keys that were handled within a frame.
  const all = [...Array<number>(Math.max(0, text.length - keys.length)).fill(16), ...keys].sort((one, other) => one - other);
  const percentile = (share: number) => all[Math.min(all.length - 1, Math.floor(all.length * share))]!;
  figures.push({ what: "a key while 20 steps stream, p50", measured: percentile(0.5), unit: "ms", atMost: 50 });
  figures.push({ what: "a key while 20 steps stream, p98", measured: percentile(0.98), unit: "ms", atMost: 50 });
});

test("a template of 500 steps", async ({ member: page, workspace }) => {
  const steps = Array.from({ length: 500 }, (_, place) => ({
    name: `Step ${place}`,
    prompt: "Go on",
    dependsOn: place < 5 ? [] : [`Step ${place - 5}`],
  }));
  await workspace.rest.post(`/projects/${PROJECT}/templates`, { apiVersion: "troupe/v1", key: "large", name: "Large", steps });
  await watch(page);
  await page.goto(`/p/${PROJECT}/templates/large/edit`);
  const canvas = page.getByRole("listbox", { name: "Steps" });
  await expect(canvas.getByRole("option")).toHaveCount(500);
  await awake(page);
  const box = (await canvas.boundingBox())!;
  const [x, y] = [box.x + box.width / 2, box.y + box.height - 20];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await frames(
    page,
    "500 steps, panning",
    async () => {
      for (let turn = 0; turn < 120; turn += 1) {
        await page.mouse.move(x + 200 * Math.sin(turn / 10), y - 100 + 100 * Math.cos(turn / 10));
        await page.waitForTimeout(8);
      }
    },
    50,
  );
  await page.mouse.up();
  await page.keyboard.down("Control");
  await frames(page, "500 steps, zooming", async () => {
    for (let turn = 0; turn < 80; turn += 1) {
      await page.mouse.wheel(0, turn % 20 < 10 ? -40 : 40);
      await page.waitForTimeout(8);
    }
  });
  await page.keyboard.up("Control");
  figures.push({ what: "500 steps: layout shift", measured: (await seen(page)).shift, unit: "", atMost: 0.02 });
  figures.push({ what: "500 steps: heap", measured: await heap(page), unit: "MB", atMost: 200 });
});

test("a run's page, and the list of 200 live runs", async ({ member: page, models, workspace }) => {
  await models.script([{ text: "Said." }]);
  const { run } = await workspace.launch("rivers");
  await expect.poll(async () => (await workspace.run(run)).status).toBe("completed");
  await watch(page);
  await load(page, "a run", `/p/${PROJECT}/runs/${run}`);
  await models.script([{ text: "Slowly said. ".repeat(40), chunkSize: 8, chunkMs: 400 }]);
  await Promise.all(Array.from({ length: 200 }, () => workspace.launch("rivers")));
  await load(page, "200 live runs", `/p/${PROJECT}/dashboard`);
  await frames(page, "200 live runs", () => page.waitForTimeout(3_000));
});
