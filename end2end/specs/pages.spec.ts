// Checks of every page: no axe violations, in light and in dark; no layout shift while it loads; no horizontal
// scrolling on a phone; no console errors. Screenshots in all variants are stored with the results
// (`test-results/looks`) for review.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { ADMIN, awake, expect, fillSignIn, test, type Workspace } from "../fixtures";
import type { Models } from "../fixtures/models";

/** Addresses without a page; their error page must pass the same checks. */
const MISSING = ["/nowhere"];

const PHONE = { width: 360, height: 780 };
const DESK = { width: 1440, height: 900 };
/** Maximum cumulative layout shift of a page while it loads. */
const JUMPS = 0.02;
const LOOKS = "test-results/looks";

/** Public pages and pages of a member; `{task}` and `{run}` stand for a completed run. */
const PAGES = [
  "/sign-in",
  "/",
  "/projects/new",
  "/gallery",
  "/nowhere",
  "/p/work/inbox",
  "/p/work/inbox?with={failed-task}",
  "/p/work/dashboard",
  "/p/work/search",
  "/p/work/search?q=two",
  "/p/work/conversations",
  "/p/work/conversations/new",
  "/p/work/conversations/{task}",
  "/p/work/conversations/{failed-task}",
  "/p/work/templates",
  "/p/work/templates/new",
  "/p/work/templates/two-steps",
  "/p/work/templates/two-steps?tab=versions",
  "/p/work/templates/two-steps/edit",
  "/p/work/templates/two-steps/execute",
  "/p/work/runs",
  "/p/work/runs?status=failed",
  "/p/work/compare",
  "/p/work/runs/{run}",
  "/p/work/runs/{run}?tab=graph",
  "/p/work/runs/{run}?tab=files",
  "/p/work/runs/{run}?tab=io",
  "/p/work/runs/{run}?tab=events",
  "/p/work/runs/{run}?tab=report",
  "/p/work/roles",
  "/p/work/roles/new",
  "/p/work/roles/senior_reviewer",
  "/settings/models",
  "/settings/members",
  "/settings/tokens",
];

for (const path of PAGES) {
  test(`${path} is clean, in light and dark, and fits a phone`, async ({ consoles, page, workspace, models }) => {
    if (MISSING.includes(path)) consoles.allow(/Failed to load resource: the server responded with a status of 404/);
    const address = await fill(path, workspace, models);
    await page.setViewportSize(DESK);
    if (path !== "/sign-in") {
      await page.goto(`/sign-in?next=${encodeURIComponent(address)}`);
      await fillSignIn(page, ADMIN.password);
      // The start page redirects to the first project.
      const place = path === "/" ? "/p/demo/conversations" : address.split("?")[0];
      await expect(page).toHaveURL((url) => url.pathname === place);
    } else {
      await page.goto(address);
    }
    await settled(page);
    await awake(page);
    // The best of three loads: on a busy machine, a part may arrive so late that it is painted separately.
    let { sum, moved } = await jumps(page);
    for (let more = 0; more < 2 && sum >= JUMPS; more += 1) {
      await page.reload();
      await settled(page);
      await awake(page);
      ({ sum, moved } = await jumps(page));
    }
    expect(sum, `what jumped: ${moved.join("; ")}`).toBeLessThan(JUMPS);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await look(page, path, `1440-${colorScheme}`);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const found = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html) }));
      expect(found, `axe in ${colorScheme}`).toEqual([]);
    }
    await page.setViewportSize(PHONE);
    await expect.poll(() => wider(page), "what reaches beyond the right edge").toEqual([]);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await look(page, path, `360-${colorScheme}`);
    }
  });
}

test("every page is drawn for many at once", async ({ member, models, workspace }) => {
  // The server's threads share the rendering: a value used on the wrong thread, or too late, shows up only here.
  test.slow();
  const addresses = new Set<string>();
  for (const path of PAGES) addresses.add(await fill(path, workspace, models));
  for (const address of addresses) {
    const ask = async () => (await member.request.get(address, { failOnStatusCode: false })).status();
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(Array.from({ length: 8 }, ask));
      expect(new Set(answers), address).toEqual(new Set([MISSING.includes(address) ? 404 : 200]));
    }
  }
});

async function look(page: Page, path: string, variant: string): Promise<void> {
  const name = path.replaceAll(/[^a-z0-9-]+/g, "_").replace(/^_/, "") || "home";
  await page.screenshot({ path: `${LOOKS}/${name}.${variant}.png` });
}

/** The layout shifts since the start of the navigation. */
function jumps(page: Page): Promise<{ sum: number; moved: string[] }> {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        let sum = 0;
        const moved: string[] = [];
        const take = (entries: PerformanceEntryList) => {
          for (const entry of entries as (PerformanceEntry & {
            value: number;
            hadRecentInput: boolean;
            sources: { node?: Node }[];
          })[]) {
            if (entry.hadRecentInput) continue;
            sum += entry.value;
            for (const { node } of entry.sources) {
              const element = node instanceof Element ? node : node?.parentElement;
              moved.push(`${entry.value.toFixed(4)} ${element?.outerHTML.slice(0, 120)}`);
            }
          }
        };
        const observer = new PerformanceObserver((list) => take(list.getEntries()));
        observer.observe({ type: "layout-shift", buffered: true });
        // The observer reports buffered entries in a separate task.
        setTimeout(() => {
          take(observer.takeRecords());
          observer.disconnect();
          resolve({ sum, moved });
        }, 200);
      }),
  );
}

/** Launches a run and replaces the placeholders in the path by its ids. */
async function fill(path: string, workspace: Workspace, models: Models): Promise<string> {
  if (!path.includes("{")) return path;
  const fails = path.includes("{failed-");
  await models.script([fails ? { fault: { kind: "empty" } } : { text: "# An answer\n\nWith `code` and a list:\n\n- one\n- two" }]);
  const { run, taskId } = await workspace.launch("rivers", { Draft: "senior_reviewer" });
  const wanted = fails ? "failed" : "completed";
  await expect.poll(async () => (await workspace.run(run)).status).toBe(wanted);
  return path.replace(/\{(failed-)?task\}/, taskId).replace("{run}", String(run));
}

/** Waits until the page has its content instead of skeletons. The gallery always shows skeletons. */
async function settled(page: Page): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  if (new URL(page.url()).pathname === "/gallery") return;
  await expect(page.locator("[aria-busy=true]")).toHaveCount(0);
}

/** Elements beyond the page's right edge that are not inside a scrolling box. */
function wider(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const edge = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= edge) return [];
    const clipped = (element: Element): boolean => {
      for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
        if (getComputedStyle(box).overflowX !== "visible") return true;
      }
      return false;
    };
    return [...document.body.querySelectorAll("*")]
      .filter((element) => element.getBoundingClientRect().right > edge + 1 && !clipped(element))
      .map((element) => element.outerHTML.slice(0, 160));
  });
}
