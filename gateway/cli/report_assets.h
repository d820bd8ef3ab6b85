/* The files of gateway/cli/report/, as they are, within the program. */
#pragma once

#include "gateway/base/base.h"

struct asset {
	const char *bytes;
	size_t len;
};

enum report_asset {
	ASSET_PAGE,
	ASSET_STYLE_CHARTS,
	ASSET_STYLE,
	ASSET_CHARTS,
	ASSET_CHARTS_LICENCE,
	ASSET_PARTS,
	ASSET_OUR_TABLES,
	ASSET_OUR_CHARTS,
	ASSET_OUR_MAP,
	ASSET_OUR_PAGE,
};

struct asset report_asset(enum report_asset which);
