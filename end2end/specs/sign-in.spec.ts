// Signing in and out, with and without script.

import { ADMIN, expect, fillSignIn, signIn, test } from "../fixtures";

// The browser logs every unsuccessful response; the page informs the user.
const REFUSED = /Failed to load resource: the server responded with a status of 4\d\d/;

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with script" : "without script", () => {
    test.use({ javaScriptEnabled });
    // Without script, the preloaded script is not used.

    test("the first-run link makes the admin, once", async ({ page, product, consoles }) => {
      // The installation may have no model; the page then reports that.
      consoles.allow(/Failed to load resource/);
      const link = await product.firstRunLink();
      await page.goto(link);
      await page.getByLabel("Name").fill(ADMIN.name);
      await page.getByLabel("E-mail").fill(ADMIN.email);
      await page.getByLabel("Password").fill(ADMIN.password);
      await page.getByRole("button", { name: "Make the account" }).click();
      await expect(page.getByRole("heading", { name: "You are in" })).toBeVisible();
      const made = page.url();

      await page.context().clearCookies();
      for (const address of [link, made]) {
        await page.goto(address);
        await expect(page.getByRole("heading", { name: "This link no longer works" })).toBeVisible();
      }
      await page.goto(link);
      await expect(page.getByRole("heading", { name: "This link no longer works" })).toBeVisible();
    });

    test("a password that is too short is refused under its field", async ({ page, product, consoles }) => {
      consoles.allow(REFUSED);
      await page.goto(await product.firstRunLink());
      await page.getByLabel("Name").fill(ADMIN.name);
      await page.getByLabel("E-mail").fill(ADMIN.email);
      await page.getByLabel("Password").fill("short");
      await page.getByRole("button", { name: "Make the account" }).click();
      await expect(page.getByLabel("Password")).toHaveAccessibleDescription(/10/);
      await expect(page.getByLabel("Password")).toHaveAttribute("aria-invalid", "true");
    });

    test("signing in leads to where one wanted to go", async ({ page, workspace, product }) => {
      void workspace;
      await page.goto("/p/work/runs");
      await expect(page).toHaveURL(`${product.url}/sign-in?next=/p/work/runs`);
      await fillSignIn(page, ADMIN.password);
      await expect(page).toHaveURL(`${product.url}/p/work/runs`);
      await expect(page.getByRole("heading", { name: "Runs", level: 1 })).toBeVisible();
    });

    test("a wrong password is told, and lets nobody in", async ({ page, workspace, consoles }) => {
      void workspace;
      consoles.allow(REFUSED);
      await page.goto("/sign-in");
      await fillSignIn(page, "not-the-password-at-all");
      await expect(page.getByRole("main")).toContainText(/e-mail.*password|password.*e-mail/i);
      await expect(page.getByRole("alert").or(page.locator("[aria-invalid=true]")).first()).toBeVisible();
      await expect(page).toHaveURL(/sign-in/);
      await page.goto("/p/work/runs");
      await expect(page).toHaveURL(/sign-in/);
    });
  });
}

test("signing out ends the session", async ({ member, context }) => {
  const cookies = await context.cookies();
  await member.getByRole("button", { name: "Account" }).click();
  await member.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(member).toHaveURL(/sign-in/);
  // The cookie is not only deleted, but its session is invalid.
  await context.addCookies(cookies);
  await member.goto("/p/work/runs");
  await expect(member).toHaveURL(/sign-in/);
  await signIn(member);
});

test("the session's cookie is out of reach of scripts", async ({ member, context }) => {
  const [cookie] = (await context.cookies()).filter((cookie) => cookie.name === "troupe_session");
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax" });
  expect(await member.evaluate(() => document.cookie)).not.toContain("troupe_session");
});
