/** Chakra's system with Palisade's colours. Every pair of text and ground used here has a contrast of 4.5 or more. */
import { createSystem, defaultBaseConfig, defineConfig } from "@chakra-ui/react";
import * as theme from "@chakra-ui/react/theme";

const brand = {
  50: "#f0fdfa",
  100: "#ccfbf1",
  200: "#99f6e4",
  300: "#5eead4",
  400: "#2dd4bf",
  500: "#14b8a6",
  600: "#0d9488",
  700: "#0f766e",
  800: "#115e59",
  900: "#134e4a",
  950: "#042f2e",
};

/** Chakra's looks of the components that are used here, and no others: the rest would be a third of the first load. */
const chakra = defineConfig({
  preflight: true,
  cssVarsPrefix: theme.cssVarsPrefix,
  cssVarsRoot: theme.cssVarsRoot,
  globalCss: theme.globalCss,
  theme: {
    breakpoints: theme.breakpoints,
    keyframes: theme.keyframes,
    tokens: theme.tokens,
    semanticTokens: theme.semanticTokens,
    textStyles: theme.textStyles,
    layerStyles: theme.layerStyles,
    animationStyles: theme.animationStyles,
    recipes: {
      badge: theme.badgeRecipe,
      button: theme.buttonRecipe,
      checkmark: theme.checkmarkRecipe,
      code: theme.codeRecipe,
      container: theme.containerRecipe,
      heading: theme.headingRecipe,
      icon: theme.iconRecipe,
      input: theme.inputRecipe,
      link: theme.linkRecipe,
      skipNavLink: theme.skipNavLinkRecipe,
      spinner: theme.spinnerRecipe,
      textarea: theme.textareaRecipe,
    },
    slotRecipes: {
      alert: theme.alertSlotRecipe,
      checkbox: theme.checkboxSlotRecipe,
      dataList: theme.dataListSlotRecipe,
      dialog: theme.dialogSlotRecipe,
      drawer: theme.drawerSlotRecipe,
      emptyState: theme.emptyStateSlotRecipe,
      field: theme.fieldSlotRecipe,
      list: theme.listSlotRecipe,
      nativeSelect: theme.nativeSelectSlotRecipe,
      progress: theme.progressSlotRecipe,
      table: theme.tableSlotRecipe,
    },
  },
});

const config = defineConfig({
  globalCss: {
    ".hatched": {
      backgroundImage:
        "repeating-linear-gradient(45deg, var(--chakra-colors-red-500) 0 3px, var(--chakra-colors-red-700) 3px 6px)",
    },
    ".moment-full": { display: "none" },
    ".moment:focus-visible .moment-full": {
      display: "block",
      position: "absolute",
      insetInlineStart: "0",
      top: "100%",
      zIndex: "tooltip",
      px: "2",
      py: "1",
      rounded: "md",
      bg: "bg.inverted",
      color: "fg.inverted",
      textStyle: "xs",
    },
    "*, ::before, ::after": {
      _motionReduce: { animationDuration: "1ms !important", transitionDuration: "1ms !important" },
    },
    html: { colorPalette: "brand", scrollPaddingTop: "20" },
    body: { bg: "bg.subtle", color: "fg" },
    "main:focus, h1:focus, h2:focus": { outline: "none" },
  },
  theme: {
    tokens: {
      colors: {
        brand: Object.fromEntries(Object.entries(brand).map(([shade, value]) => [shade, { value }])),
      },
    },
    semanticTokens: {
      colors: {
        fg: {
          error: { value: { _light: "{colors.red.700}", _dark: "{colors.red.300}" } },
          warning: { value: { _light: "{colors.orange.800}", _dark: "{colors.orange.300}" } },
        },
        orange: { fg: { value: { _light: "{colors.orange.800}", _dark: "{colors.orange.300}" } } },
        red: {
          solid: { value: { _light: "{colors.red.700}", _dark: "{colors.red.700}" } },
          fg: { value: { _light: "{colors.red.800}", _dark: "{colors.red.300}" } },
        },
        brand: {
          solid: { value: "{colors.brand.800}" },
          contrast: { value: "white" },
          fg: { value: { base: "{colors.brand.800}", _dark: "{colors.brand.300}" } },
          muted: { value: { base: "{colors.brand.100}", _dark: "{colors.brand.900}" } },
          subtle: { value: { base: "{colors.brand.50}", _dark: "{colors.brand.950}" } },
          emphasized: { value: { base: "{colors.brand.200}", _dark: "{colors.brand.800}" } },
          border: { value: { base: "{colors.brand.200}", _dark: "{colors.brand.800}" } },
          focusRing: { value: { base: "{colors.brand.600}", _dark: "{colors.brand.400}" } },
        },
      },
    },
  },
});

export const system = createSystem(defaultBaseConfig, chakra, config);
