/** How much room something takes, such as `8.2 MB`; a dash where it is not known. */
export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return "–";
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const format = new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: units[power],
    unitDisplay: "short",
    maximumFractionDigits: power > 0 && count / 1_000 ** power < 10 ? 1 : 0,
  });
  return format.format(count / 1_000 ** power);
}
