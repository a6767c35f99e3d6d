import { Button, Flex } from "@chakra-ui/react";
import { ArrowLeftToLine, ArrowRight } from "lucide-react";

interface PagerProps {
  /** What the pages are of. */
  label: string;
  cursor: string | undefined;
  next: string | null | undefined;
  onChange: (cursor: string | null) => void;
  nextText?: string;
}

/** First and next page; the browser's back button is the previous one. */
export function Pager({ label, cursor, next, onChange, nextText = "Next page" }: PagerProps) {
  if (!cursor && !next) return null;
  return (
    <Flex as="nav" aria-label={`Pages of ${label}`} justify="space-between" gap="3" mt="4">
      <Button variant="outline" size="sm" disabled={!cursor} onClick={() => onChange(null)}>
        <ArrowLeftToLine aria-hidden /> First page
      </Button>
      <Button variant="outline" size="sm" disabled={!next} onClick={() => onChange(next ?? null)}>
        {nextText} <ArrowRight aria-hidden />
      </Button>
    </Flex>
  );
}
