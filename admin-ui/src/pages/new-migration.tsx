import { Button, Code, Flex, Input, List, NativeSelect, SimpleGrid, Stack, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { useNavigate, useSearchParams } from "react-router";
import { z } from "zod";
import { usePlanMigration, useStartMigration } from "../api/migration-queries";
import { useRefusal, useTemplates } from "../api/queries";
import type { MigrationPlan, StartMigration } from "../api/schemas";
import { Facts } from "../components/facts";
import { Forbidden } from "../components/forbidden";
import { FormField } from "../components/form-field";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";

const wholeNumbers = z.string().regex(/^\s*(\d+(\s*,\s*\d+)*)?\s*$/, "Whole numbers with commas between.");

const schema = z.object({
  template: z.string().min(1, "Which template?"),
  waves: wholeNumbers,
  canary: z.string(),
  parallelism: z.coerce.number<string>().int().min(1).max(64),
  max_failures: z.coerce.number<string>().int().min(0).max(1_000_000),
});

const list = (text: string) => text.split(/[\s,]+/).filter((part) => part !== "");

function wishOf(form: z.output<typeof schema>): StartMigration {
  const waves = list(form.waves).map(Number);
  return { ...form, canary: list(form.canary), ...{ waves: waves.length > 0 ? waves : [100] } };
}

/** Plans a migration, shows what it would do, starts it. */
export function NewMigrationPage() {
  const refused = useRefusal("migration.start");
  if (refused) return <Forbidden title="New migration" reason={refused} />;
  return <PlanForm />;
}

function PlanForm() {
  const [params] = useSearchParams();
  const templates = useTemplates();
  const plan = usePlanMigration();
  const start = useStartMigration();
  const navigate = useNavigate();
  const form = useForm({
    resolver: zodResolver(schema),
    mode: "onChange",
    defaultValues: {
      template: "default",
      waves: "10, 100",
      canary: params.get("canary") ?? "",
      parallelism: "4",
      max_failures: "0",
    },
  });
  const { errors } = form.formState;
  const ask = form.handleSubmit((values) => plan.mutate(wishOf(values)));
  const run = () => {
    if (!plan.variables) return;
    start.mutate(plan.variables, {
      onSuccess: ({ migration }) => void navigate(migration ? `/migrations/${migration.id}` : "/migrations"),
    });
  };
  return (
    <>
      <PageHead title="New migration" description="First a plan; nothing runs until it is started." />
      <form noValidate onSubmit={ask} onChange={() => plan.reset()}>
        <Stack gap="5" maxW="3xl">
          <Section title="Which tenants, in which order">
            <SimpleGrid columns={{ base: 1, sm: 2 }} gap="4">
              <FormField label="Template" error={errors.template?.message} help="To its newest version.">
                <NativeSelect.Root>
                  <NativeSelect.Field {...form.register("template")}>
                    {(templates.data?.items ?? [{ name: "default", version: 0 }]).map(({ name, version }) => (
                      <option key={name} value={name}>
                        {name} {version > 0 && `(version ${version})`}
                      </option>
                    ))}
                  </NativeSelect.Field>
                  <NativeSelect.Indicator />
                </NativeSelect.Root>
              </FormField>
              <FormField
                label="Waves (percent, rising)"
                error={errors.waves?.message}
                help="10, 100: a tenth first."
              >
                <Input {...form.register("waves")} />
              </FormField>
              <FormField label="First of all" help="Slugs with commas between.">
                <Input {...form.register("canary")} autoComplete="off" spellCheck={false} />
              </FormField>
              <FormField label="At once (1 to 64)" error={errors.parallelism?.message}>
                <Input {...form.register("parallelism")} inputMode="numeric" />
              </FormField>
              <FormField
                label="Failures it bears"
                error={errors.max_failures?.message}
                help="One more pauses it."
              >
                <Input {...form.register("max_failures")} inputMode="numeric" />
              </FormField>
            </SimpleGrid>
            <Button type="submit" mt="5" loading={plan.isPending}>
              Show the plan
            </Button>
          </Section>
          {plan.isError && <ProblemAlert error={plan.error} />}
          {plan.data && <PlanView plan={plan.data.plan} />}
          {start.isError && <ProblemAlert error={start.error} />}
          {plan.data && plan.data.plan.targets > 0 && (
            <Flex>
              <Button type="button" onClick={run} loading={start.isPending}>
                Migrate {plan.data.plan.targets.toLocaleString()} tenants
              </Button>
            </Flex>
          )}
        </Stack>
      </form>
    </>
  );
}

function PlanView({ plan }: { plan: MigrationPlan }) {
  return (
    <Section title="The plan">
      <Text role="status" mb="3">
        {plan.targets === 0
          ? `All tenants are at version ${plan.to_version} already.`
          : `${plan.targets.toLocaleString()} tenants go to version ${plan.to_version}.`}
      </Text>
      <Facts
        facts={[
          ["Waves", plan.waves.map((size) => size.toLocaleString()).join(", then ")],
          ["Unknown names", plan.unknown_canaries.join(", ")],
        ]}
      />
      {plan.files.map(({ file, statements }) => (
        <Stack key={file} mt="4" gap="2">
          <Text fontWeight="medium">{file}</Text>
          <List.Root ps="5" gap="1">
            {statements.map(({ line, verb, lock, notes }) => (
              <List.Item key={line}>
                line {line}: <Code>{verb}</Code>
                {lock && `, takes ${lock}`}
                {notes.length > 0 && `. ${notes.join(" ")}`}
              </List.Item>
            ))}
          </List.Root>
        </Stack>
      ))}
    </Section>
  );
}
