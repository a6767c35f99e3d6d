import { Button, Flex, Input, NativeSelect, SimpleGrid, Stack, Text, Textarea } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { ListPlus, Play } from "lucide-react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { useExplain, useTenants } from "../api/queries";
import { ExplanationView } from "../components/explanation";
import { FormField } from "../components/form-field";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { CaseList } from "../components/case-list";
import { useCases } from "../lib/cases";
import { useFilters } from "../lib/filters";

/** Tenants that the field suggests. */
const SUGGESTIONS = 50;
const KINDS = ["owner", "app", "readonly"];
const FILTERS = ["tenant", "as"] as const;

const schema = z.object({
  tenant: z.string().trim().min(1, "Which tenant?"),
  as: z.string(),
  sql: z.string().refine((sql) => sql.trim() !== "", "A statement is needed."),
});

/** Asks how a statement would be judged. Nothing is run. */
export function PlaygroundPage() {
  const { values, setFilters } = useFilters(FILTERS);
  const explain = useExplain();
  const tenants = useTenants({ limit: SUGGESTIONS });
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { tenant: values.tenant, as: values.as || "app", sql: "" },
  });
  const submit = form.handleSubmit((question) => {
    setFilters({ tenant: question.tenant, as: question.as }, true);
    explain.mutate(question);
  });
  const { cases, add, remove } = useCases();
  const { errors } = form.formState;
  return (
    <>
      <PageHead
        title="Playground"
        description="How the proxy would read, judge and rewrite a statement. Nothing is run."
      />
      <form noValidate onSubmit={submit}>
        <Stack gap="4" mb="6">
          <SimpleGrid columns={{ base: 1, sm: 2 }} gap="4" maxW="2xl">
            <FormField label="Tenant" required error={errors.tenant?.message}>
              <Input bg="bg.panel" {...form.register("tenant")} list="tenant-slugs" autoComplete="off" />
              <datalist id="tenant-slugs">
                {tenants.data?.items.map(({ id, slug }) => (
                  <option key={id} value={slug} />
                ))}
              </datalist>
            </FormField>
            <FormField label="As">
              <NativeSelect.Root>
                <NativeSelect.Field bg="bg.panel" {...form.register("as")}>
                  {KINDS.map((kind) => (
                    <option key={kind}>{kind}</option>
                  ))}
                </NativeSelect.Field>
                <NativeSelect.Indicator />
              </NativeSelect.Root>
            </FormField>
          </SimpleGrid>
          <FormField label="SQL" required error={errors.sql?.message}>
            <Textarea
              {...form.register("sql")}
              bg="bg.panel"
              rows={6}
              fontFamily="mono"
              spellCheck={false}
              autoCapitalize="none"
              placeholder="SELECT * FROM public.users"
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void submit(event);
              }}
            />
          </FormField>
          <Flex gap="3" align="center" wrap="wrap">
            <Button type="submit" loading={explain.isPending}>
              <Play aria-hidden /> Explain
            </Button>
            <Text textStyle="sm" color="fg.muted" hideBelow="sm">
              or Ctrl and Enter
            </Text>
          </Flex>
        </Stack>
      </form>
      {explain.isError && <ProblemAlert error={explain.error} />}
      <Stack gap="5">
        {explain.data && (
          <>
            <ExplanationView explanation={explain.data} sql={explain.variables.sql} />
            <Button
              alignSelf="start"
              variant="outline"
              size="sm"
              onClick={() => add({ ...explain.variables, expected: explain.data.verdict })}
            >
              <ListPlus aria-hidden /> Keep as a case: {explain.data.verdict}
            </Button>
          </>
        )}
        <CaseList
          cases={cases}
          onRemove={remove}
          onOpen={({ tenant, as, sql }) => {
            form.reset({ tenant, as, sql });
            void submit();
          }}
        />
      </Stack>
    </>
  );
}
