import { Button, type ButtonProps } from "@chakra-ui/react";
import { Check, Copy, X } from "lucide-react";
import { useEffect, useState } from "react";
import { copyText } from "../lib/clipboard";

/** How long the outcome is shown, in milliseconds. */
const SHOWN_MS = 2_000;

interface CopyButtonProps extends Omit<ButtonProps, "onClick" | "value" | "children"> {
  value: string;
  /** What is copied, for people who cannot see where the button stands. */
  what: string;
}

/** Copies a text and says whether it worked. */
export function CopyButton({ value, what, ...props }: CopyButtonProps) {
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (outcome === null) return;
    const timer = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => setOutcome((await copyText(value)) ? "copied" : "failed");
  const Icon = outcome === "copied" ? Check : outcome === "failed" ? X : Copy;
  const text = outcome === "copied" ? "Copied" : outcome === "failed" ? "Not copied" : "Copy";
  return (
    <Button size="xs" variant="outline" aria-label={`${text} ${what}`} onClick={copy} {...props}>
      <Icon aria-hidden />
      <span aria-live="polite">{text}</span>
    </Button>
  );
}
