# One test binary per folder, made of the *_test.cc beside the code.
find_package(GTest REQUIRED)
include(GoogleTest)
# What several tests share and no program contains.
file(GLOB R1_TEST_SUPPORT CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/support/*.cc)
add_library(r1_test_support STATIC ${R1_TEST_SUPPORT})
target_include_directories(r1_test_support PUBLIC tests PRIVATE src)
target_link_libraries(r1_test_support PRIVATE r1 r1_flags nlohmann_json::nlohmann_json Threads::Threads)
foreach(folder IN LISTS R1_FOLDERS)
  if(R1_TESTS_${folder})
    add_executable(${folder}_test ${R1_TESTS_${folder}})
    target_include_directories(${folder}_test PRIVATE src)
    target_compile_definitions(${folder}_test PRIVATE R1_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${folder}_test PRIVATE r1_test_support r1 r1_flags GTest::gtest_main fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
    add_test(NAME ${folder} COMMAND ${folder}_test)
  endif()
endforeach()

# The hidden rules of label/ are not reachable from training code: a look at the object files.
add_test(NAME label_isolation COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/check_label_isolation.sh ${CMAKE_BINARY_DIR} ${CMAKE_NM})
