/* Files that the assembler takes into the program: the report's page, its look and its scripts. The
 * Makefile makes this file again when one of them changes; their paths are from the top. */
#include "gateway/cli/report_assets.h"

#define ASSET(name, path)                                                       \
	__asm__(".pushsection .rodata\n"                                        \
		"asset_" #name ":\n"                                            \
		".incbin \"gateway/cli/report/" path "\"\n"                     \
		"asset_" #name "_end:\n"                                        \
		".byte 0\n"                                                     \
		".popsection\n");                                               \
	extern const char asset_##name[] __attribute__((visibility("hidden"))); \
	extern const char asset_##name##_end[] __attribute__((visibility("hidden")))

ASSET(page, "page.html");
ASSET(style_charts, "uplot/uPlot.min.css");
ASSET(style, "page.css");
ASSET(charts, "uplot/uPlot.iife.min.js");
ASSET(charts_licence, "uplot/LICENSE");
ASSET(parts, "parts.js");
ASSET(our_tables, "tables.js");
ASSET(our_charts, "charts.js");
ASSET(our_map, "map.js");
ASSET(our_page, "page.js");

static const struct {
	const char *start, *end;
} assets[] = {
	[ASSET_PAGE] = {asset_page, asset_page_end},
	[ASSET_STYLE_CHARTS] = {asset_style_charts, asset_style_charts_end},
	[ASSET_STYLE] = {asset_style, asset_style_end},
	[ASSET_CHARTS] = {asset_charts, asset_charts_end},
	[ASSET_CHARTS_LICENCE] = {asset_charts_licence, asset_charts_licence_end},
	[ASSET_PARTS] = {asset_parts, asset_parts_end},
	[ASSET_OUR_TABLES] = {asset_our_tables, asset_our_tables_end},
	[ASSET_OUR_CHARTS] = {asset_our_charts, asset_our_charts_end},
	[ASSET_OUR_MAP] = {asset_our_map, asset_our_map_end},
	[ASSET_OUR_PAGE] = {asset_our_page, asset_our_page_end},
};

struct asset report_asset(enum report_asset which)
{
	assert(which < ARRAY_LEN(assets));
	return (struct asset){assets[which].start,
			      (size_t)(assets[which].end - assets[which].start)};
}
