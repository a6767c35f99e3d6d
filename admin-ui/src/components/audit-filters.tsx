import { Button, Code, Flex, Input, NativeSelect, SimpleGrid } from "@chakra-ui/react";
import { X } from "lucide-react";
import { useForm } from "react-hook-form";
import { toIso, toLocalInput } from "../lib/time";
import { FormField } from "./form-field";

/** The names in the address. */
export const AUDIT_FILTERS = ["tenant", "action", "decision", "actor", "since", "until"] as const;

/** What an event leads to: shown as marks that can be taken away. */
export const PIVOTS = [
  "session",
  "operation",
  "epoch",
  "fingerprint",
  "reason",
  "sqlstate",
  "object",
] as const;

/** Everything that the list can be narrowed to. */
export const ALL_FILTERS = [...AUDIT_FILTERS, ...PIVOTS];

export type AuditFilterValues = Record<(typeof AUDIT_FILTERS)[number], string>;

const EMPTY: AuditFilterValues = { tenant: "", action: "", decision: "", actor: "", since: "", until: "" };

/** Actions that are known; others can be typed. */
const ACTIONS = [
  "login",
  "statement",
  "tenant.create",
  "tenant.suspend",
  "tenant.resume",
  "tenant.rollback",
  "login.create",
  "login.remove",
  "login.rotate",
];

interface AuditFiltersProps {
  values: AuditFilterValues;
  onChange: (values: AuditFilterValues) => void;
}

/** What the trail is narrowed to. Each text must match wholly. */
export function AuditFilters({ values, onChange }: AuditFiltersProps) {
  const form = useForm<AuditFilterValues>({
    defaultValues: { ...values, since: toLocalInput(values.since), until: toLocalInput(values.until) },
  });
  const apply = form.handleSubmit((typed) =>
    onChange({
      ...typed,
      tenant: typed.tenant.trim(),
      action: typed.action.trim(),
      actor: typed.actor.trim(),
      since: toIso(typed.since),
      until: toIso(typed.until),
    }),
  );
  const active = AUDIT_FILTERS.some((name) => values[name] !== "");
  return (
    <form onSubmit={apply} role="search" aria-label="Audit events">
      <SimpleGrid columns={{ base: 1, sm: 2, lg: 6 }} gap="3" mb="3">
        <FormField label="Tenant">
          <Input bg="bg.panel" {...form.register("tenant")} placeholder="slug or id" autoComplete="off" />
        </FormField>
        <FormField label="Action">
          <Input bg="bg.panel" {...form.register("action")} list="audit-actions" autoComplete="off" />
          <datalist id="audit-actions">
            {ACTIONS.map((action) => (
              <option key={action} value={action} />
            ))}
          </datalist>
        </FormField>
        <FormField label="Decision">
          <NativeSelect.Root>
            <NativeSelect.Field bg="bg.panel" {...form.register("decision")}>
              <option value="">all</option>
              <option>allow</option>
              <option>deny</option>
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </FormField>
        <FormField label="Actor">
          <Input bg="bg.panel" {...form.register("actor")} autoComplete="off" />
        </FormField>
        <FormField label="Since">
          <Input bg="bg.panel" type="datetime-local" step={1} {...form.register("since")} />
        </FormField>
        <FormField label="Until">
          <Input bg="bg.panel" type="datetime-local" step={1} {...form.register("until")} />
        </FormField>
      </SimpleGrid>
      <Flex gap="2" mb="5">
        <Button type="submit" size="sm">
          Apply
        </Button>
        {active && (
          <Button size="sm" variant="outline" onClick={() => onChange(EMPTY)}>
            Clear the filters
          </Button>
        )}
      </Flex>
    </form>
  );
}

interface AuditMarksProps {
  values: Record<(typeof PIVOTS)[number], string>;
  onRemove: (name: (typeof PIVOTS)[number]) => void;
}

/** What else the trail is narrowed to, each with a way to take it away. */
export function AuditMarks({ values, onRemove }: AuditMarksProps) {
  const given = PIVOTS.filter((name) => values[name] !== "");
  if (given.length === 0) return null;
  return (
    <Flex gap="2" mb="4" wrap="wrap" role="group" aria-label="Also narrowed to">
      {given.map((name) => (
        <Button
          key={name}
          size="xs"
          variant="outline"
          maxW="full"
          aria-label={`Take away ${name} ${values[name]}`}
          onClick={() => onRemove(name)}
        >
          {name}{" "}
          <Code size="sm" truncate>
            {values[name]}
          </Code>{" "}
          <X aria-hidden />
        </Button>
      ))}
    </Flex>
  );
}
