# The status page as one document: style and script are put where {{style}} and {{script}} stand, and hashed for its
# Content-Security-Policy.

# SHA-256 of a text in base64: three digits of the hexadecimal one are two of these, and the last one is left over.
function(base64_sha256 text result)
  set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  string(SHA256 digest "${text}")
  set(encoded "")
  foreach(at RANGE 0 60 3)
    string(SUBSTRING ${digest} ${at} 3 digits)
    math(EXPR high "0x${digits} >> 6")
    math(EXPR low "0x${digits} & 63")
    foreach(index ${high} ${low})
      string(SUBSTRING ${alphabet} ${index} 1 letter)
      string(APPEND encoded ${letter})
    endforeach()
  endforeach()
  string(SUBSTRING ${digest} 63 1 digit)
  math(EXPR index "0x${digit} << 2")
  string(SUBSTRING ${alphabet} ${index} 1 letter)
  set(${result} "${encoded}${letter}=" PARENT_SCOPE)
endfunction()

set(PAGE_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${PAGE_FOLDER}/page.html ${PAGE_FOLDER}/page.css ${PAGE_FOLDER}/page.js)
file(READ ${PAGE_FOLDER}/page.html PAGE_HTML)
file(READ ${PAGE_FOLDER}/page.css PAGE_STYLE)
file(READ ${PAGE_FOLDER}/page.js PAGE_SCRIPT)
base64_sha256("${PAGE_STYLE}" PAGE_STYLE_HASH)
base64_sha256("${PAGE_SCRIPT}" PAGE_SCRIPT_HASH)
string(REPLACE "{{style}}" "${PAGE_STYLE}" PAGE_HTML "${PAGE_HTML}")
string(REPLACE "{{script}}" "${PAGE_SCRIPT}" PAGE_HTML "${PAGE_HTML}")
configure_file(${PAGE_FOLDER}/../page_document.cpp.in page_document.cpp @ONLY)
