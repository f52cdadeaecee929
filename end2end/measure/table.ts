// Figures as a table, with the ratio to their targets: 1 is on target, 2 is twice as good.

export interface Figure {
  what: string;
  measured: number;
  unit: string;
  atMost?: number;
  atLeast?: number;
}

export function print(figures: Figure[]): void {
  const rows = figures.map(({ what, measured, unit, atMost, atLeast }) => {
    const digits = measured < 1 ? 3 : measured < 100 ? 1 : 0;
    const target = atMost !== undefined ? `<= ${atMost} ${unit}` : atLeast !== undefined ? `>= ${atLeast} ${unit}` : "";
    const ratio = atMost !== undefined ? atMost / measured : atLeast !== undefined ? measured / atLeast : undefined;
    const shown = ratio === undefined ? "" : ratio > 99 || !Number.isFinite(ratio) ? ">99" : ratio.toFixed(2);
    return [what, `${measured.toFixed(digits)} ${unit}`, target, shown];
  });
  const table = [["in the browser", "measured", "to reach", "ratio"], ...rows];
  const width = (column: number) => Math.max(...table.map((row) => row[column]!.length));
  const lines = table.map((row) => row.map((cell, column) => (column ? cell.padStart(width(column)) : cell.padEnd(width(0)))).join("   "));
  console.log(`\n${lines.join("\n")}\n`);
}
