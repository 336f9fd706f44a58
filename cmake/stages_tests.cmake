# Every stage command on small models of published shapes, with a published tokenizer and template: tests/stages.
add_executable(stages_test ${CMAKE_CURRENT_SOURCE_DIR}/tests/stages/stages_test.cc)
target_include_directories(stages_test PRIVATE src)
target_link_libraries(stages_test PRIVATE r1_test_support r1 r1_flags GTest::gtest_main fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
target_compile_definitions(stages_test PRIVATE R1_BINARY="$<TARGET_FILE:r1_cli>" R1_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
add_dependencies(stages_test r1_cli)
add_test(NAME stages COMMAND stages_test)
