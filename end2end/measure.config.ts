// Perceived performance, measured in the browser on the release build: `make bench` runs it after the server's
// figures. It fails only if something cannot be measured, never for a slow figure, so it is not part of the tests.

import { defineConfig } from "@playwright/test";

import tests from "./playwright.config";

export default defineConfig({
  ...tests,
  testDir: "./measure",
  workers: 1,
  fullyParallel: false,
  timeout: 240_000,
  reporter: [["line"]],
});
