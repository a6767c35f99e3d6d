import { Checkbox, Flex, Input, SimpleGrid, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { ShieldAlert } from "lucide-react";
import { useForm } from "react-hook-form";
import { useNavigate } from "react-router";
import { z } from "zod";
import { useStartIsolation } from "../api/isolation";
import { ActionButton } from "./action-button";
import { FormField } from "./form-field";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

const whole = (least: number, most: number) =>
  z.coerce
    .number<string>()
    .int(`A whole number of ${least} to ${most}.`)
    .min(least, `At least ${least}.`)
    .max(most, `At most ${most}.`);

const schemaOf = (longest: number) =>
  z.object({
    seconds: whole(1, longest),
    tenants: whole(3, 20),
    attackers: whole(1, 16),
    rate: whole(1, 5_000),
    each_wall: z.boolean(),
  });

interface StartIsolationProps {
  /** Longest attack that the control plane allows, in seconds. */
  longest: number;
  /** Another test is under way. */
  busy: boolean;
}

/** What a leak test is to do; started, its own page is opened. */
export function StartIsolation({ longest, busy }: StartIsolationProps) {
  const start = useStartIsolation();
  const navigate = useNavigate();
  const form = useForm({
    resolver: zodResolver(schemaOf(longest)),
    defaultValues: {
      seconds: String(Math.min(30, longest)),
      tenants: "3",
      attackers: "4",
      rate: "200",
      each_wall: true,
    },
    mode: "onChange",
  });
  const { errors } = form.formState;
  const submit = form.handleSubmit((wish) =>
    start.mutate(wish, { onSuccess: (run) => void navigate(`/isolation/${run.id}`) }),
  );
  const field = (name: "seconds" | "tenants" | "attackers" | "rate", label: string, help: string) => (
    <FormField label={label} help={help} error={errors[name]?.message}>
      <Input inputMode="numeric" autoComplete="off" {...form.register(name)} />
    </FormField>
  );
  return (
    <Section title="New leak test">
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Text color="fg.muted" mb="4">
          Makes tenants of its own, attacks them through the proxy as a hostile tenant would, and purges them.
          No other tenant is touched; the attackers are held to the rate.
        </Text>
        <SimpleGrid columns={{ base: 1, sm: 2, lg: 4 }} gap="4" mb="4">
          {field("seconds", "Seconds of attack", `On each set of walls, at most ${longest}.`)}
          {field("tenants", "Probe tenants", "The first attacks, the others are attacked.")}
          {field("attackers", "Attackers at once", "1 to 16.")}
          {field("rate", "Statements a second", "Of all attackers together.")}
        </SimpleGrid>
        <Checkbox.Root
          mb="4"
          checked={form.watch("each_wall")}
          onCheckedChange={({ checked }) => form.setValue("each_wall", checked === true)}
        >
          <Checkbox.HiddenInput />
          <Checkbox.Control />
          <Checkbox.Label>
            Each wall: attack once more with the policy only tried, to see what the database stops by itself
          </Checkbox.Label>
        </Checkbox.Root>
        {start.isError && <ProblemAlert error={start.error} />}
        <Flex gap="3" align="center" wrap="wrap" mt={start.isError ? "4" : "0"}>
          <ActionButton action="isolation.start" type="submit" loading={start.isPending} disabled={busy}>
            <ShieldAlert aria-hidden /> Start
          </ActionButton>
          {busy && <Text color="fg.muted">One at a time: another test is under way.</Text>}
        </Flex>
      </form>
    </Section>
  );
}

/** Said in place of the form where no test may be started. */
export function NoIsolation() {
  return (
    <Section title="New leak test">
      <Text color="fg.muted">
        Leak tests are switched off here (<code>[control_plane] isolation_seconds = 0</code>).
      </Text>
    </Section>
  );
}

/** Ends a test that runs. */
export function CancelIsolation({ loading, onCancel }: { loading: boolean; onCancel: () => void }) {
  return (
    <ActionButton action="isolation.start" size="sm" variant="outline" loading={loading} onClick={onCancel}>
      Cancel the test
    </ActionButton>
  );
}
