// The gallery: every status of a run, from constant logs. The accessibility tree of each status is stored as text next
// to this file, its appearance as a picture.

import type { Page } from "@playwright/test";

import { expect, signIn, test } from "../fixtures";

/** The browser and font widths of the stored pictures: other browsers and fonts render differently. */
const DRAWN_BY = { browser: "156.0.8078.79", text: 25283, code: 28898 };
const PICTURES = [
  { name: "wide-light.png", viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  { name: "narrow-dark.png", viewport: { width: 360, height: 780 }, colorScheme: "dark" },
] as const;

const states = (page: Page) => page.getByRole("region", { name: /^Status of run / });
const card = (page: Page) => page.locator(".card", { has: page.getByRole("heading", { name: "The status of a run" }) });

test("every state of a run says what it is, with script and without (A8)", async ({ member, browse, consoles }) => {
  // Without script, the preloaded script is not used.
  await open(member);
  expect(await card(member).ariaSnapshot()).toMatchSnapshot("states.aria.txt");

  const without = await browse({ javaScriptEnabled: false });
  await signIn(without);
  await without.goto("/gallery");
  await still(without);
  // Actions that need script are not offered.
  const said = await card(without).ariaSnapshot();
  for (const state of await states(member).all()) {
    const name = await state.getAttribute("aria-label");
    expect(said).toContain(`region "${name}"`);
  }
  const lines = (page: Page) => card(page).locator(".run-status-line").allInnerTexts();
  expect(await lines(without)).toEqual(await lines(member));
});

test("no two states of a run look alike, whatever their names (A8)", async ({ member }) => {
  await open(member);
  const looks = new Map<string, string>();
  for (const state of await states(member).all()) {
    const name = await state.getAttribute("aria-label");
    // The first line only, as a message shows it when collapsed, without the run's number.
    const line = state.locator(".run-status-line");
    const look = (await line.screenshot({ animations: "disabled" })).toString("base64");
    expect(looks.get(look), `${name} looks like`).toBeUndefined();
    looks.set(look, name ?? "");
  }
  expect(looks.size).toBeGreaterThan(12);
});

for (const { name, viewport, colorScheme } of PICTURES) {
  test(`the states of a run look as they did: ${name} (A8)`, async ({ member, browser }) => {
    await member.setViewportSize(viewport);
    await member.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await open(member);
    const drawnBy = JSON.stringify({ browser: browser.version(), ...(await widths(member)) });
    test.skip(drawnBy !== JSON.stringify(DRAWN_BY), `the pictures are of another browser than ${drawnBy}`);
    await expect(card(member)).toHaveScreenshot(name, { maxDiffPixels: 200 });
  });
}

async function open(page: Page): Promise<void> {
  await page.goto("/gallery");
  await expect(states(page)).not.toHaveCount(0);
  await still(page);
}

/** Replaces relative times by absolute ones. */
async function still(page: Page): Promise<void> {
  await card(page)
    .locator("time")
    .evaluateAll((times) => times.forEach((time) => (time.textContent = time.getAttribute("datetime"))));
}

/** Widths of a sample text in hundredths of a pixel, which identify the fonts. */
function widths(page: Page): Promise<{ text: number; code: number }> {
  return page.evaluate(() => {
    const width = (variable: string) => {
      const context = document.createElement("canvas").getContext("2d");
      if (!context) return 0;
      context.font = `16px ${getComputedStyle(document.documentElement).getPropertyValue(variable)}`;
      return Math.round(context.measureText("Completed with warnings, 8.2 s").width * 100);
    };
    return { text: width("--font"), code: width("--mono") };
  });
}
