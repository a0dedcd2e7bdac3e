// The page's skeleton with its style and script in it, generated into the program from daemon/api/page/.
#pragma once

#include <string_view>

namespace buildwarden::api {

// HTML with the markers {{title}} and {{sections}}, in this order.
std::string_view page_document();

// SHA-256 of what stands in <style> and <script>, in base64, as a Content-Security-Policy names it.
std::string_view page_style_hash();
std::string_view page_script_hash();

}  // namespace buildwarden::api
